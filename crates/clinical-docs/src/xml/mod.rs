//! XML of strangers: decoded, parsed once into a bounded tree, and written again.
//!
//! No document type, no entity beyond the five, no network, no recursion. quick-xml gives the events; the namespaces
//! and every limit are ours.

mod decode;
mod parse;
mod tree;
mod write;

pub(crate) use decode::decode;
pub(crate) use parse::parse;
pub(crate) use tree::{Element, Node, Ns};
pub(crate) use write::{Writer, escape_into};
