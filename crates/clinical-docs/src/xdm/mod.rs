//! IHE XDM archives: read with the tolerance that real ones need, written the one way that receivers expect.

mod names;
mod read;
mod write;

pub(crate) use names::SUBJECT_PREFIX;
pub use names::{MailName, pdf_name, subject};
pub use read::{ExtraFile, Subset, Xdm, XdmDocument, read_xdm};
pub use write::{Outgoing, Parcel, Sender, write_xdm};
