//! ZIP archives of strangers, whole and in memory, behind limits; and archives written by this room.

use crate::error::{Bound, DocError, ZipFault};
use crate::limits::Limits;
use memchr::memmem;
use palombe_vocabulary::Timestamp;
use std::collections::HashSet;
use std::io::{Cursor, Read, Write};
use zip::read::ZipFileEntry;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// Mark of one row of a central directory.
const CENTRAL: &[u8] = b"PK\x01\x02";
/// Mark of the end of a central directory.
const END: &[u8] = b"PK\x05\x06";
/// File type bits of a Unix mode, and the one of an ordinary file.
const UNIX_TYPE: u32 = 0o170_000;
const UNIX_FILE: u32 = 0o100_000;

/// A file of an archive. `name` has `/` between folders, no empty, `.` or `..` component.
#[derive(Clone, PartialEq, Eq)]
pub struct File {
    /// Its path.
    pub name: String,
    /// Its octets.
    pub bytes: Vec<u8>,
}

impl std::fmt::Debug for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "File({} octets)", self.bytes.len())
    }
}

/// Inflates an archive, whole. Archives within it are left as they are.
///
/// # Errors
/// A limit, or a [`ZipFault`]: one entry that is not as it should be refuses the archive.
pub fn unzip(bytes: &[u8], limits: &Limits) -> Result<Vec<File>, DocError> {
    if bytes.len() > limits.archive_bytes_max {
        return Err(DocError::over(Bound::ArchiveBytes));
    }
    // Counted before anything is allocated for them. Each row and each end stands in the octets at least once.
    for mark in [CENTRAL, END] {
        if memmem::find_iter(bytes, mark).nth(limits.entries_max).is_some() {
            return Err(DocError::over(Bound::Entries));
        }
    }
    let structure = |_| DocError::zip(ZipFault::Structure);
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(structure)?;
    if archive.len() > limits.entries_max {
        return Err(DocError::over(Bound::Entries));
    }
    if archive.has_duplicate_names() {
        return Err(DocError::zip(ZipFault::DuplicateName));
    }
    // Entries that share octets make quadratic bombs out of small archives.
    if archive.has_overlapping_entries().map_err(structure)? {
        return Err(DocError::zip(ZipFault::Overlap));
    }
    let wanted = judge(&archive, limits)?;
    let mut files = Vec::with_capacity(wanted.len());
    for (index, name, size) in wanted {
        let bytes = inflate(&mut archive, index, size)?;
        files.push(File { name, bytes });
    }
    Ok(files)
}

/// Looks at every row before one octet is inflated. Gives the files: row, name, announced size.
fn judge(
    archive: &ZipArchive<Cursor<&[u8]>>,
    limits: &Limits,
) -> Result<Vec<(usize, String, usize)>, DocError> {
    let mut wanted = Vec::new();
    let mut seen = HashSet::new();
    let mut total: u64 = 0;
    for index in 0..archive.len() {
        let entry = archive.by_index_data(index).map_err(|_| DocError::zip(ZipFault::Structure))?;
        let name = safe_name(&entry, limits)?;
        if !seen.insert(name.to_lowercase()) {
            return Err(DocError::zip(ZipFault::DuplicateName));
        }
        let kind = entry.unix_mode().map(|mode| mode & UNIX_TYPE);
        if entry.is_symlink() {
            return Err(DocError::zip(ZipFault::NotAFile));
        }
        if entry.is_dir() || name.is_empty() {
            continue;
        }
        if kind.is_some_and(|kind| kind != 0 && kind != UNIX_FILE) {
            return Err(DocError::zip(ZipFault::NotAFile));
        }
        if entry.encrypted() {
            return Err(DocError::zip(ZipFault::Encrypted));
        }
        if !matches!(entry.compression(), CompressionMethod::Stored | CompressionMethod::Deflated) {
            return Err(DocError::zip(ZipFault::Method));
        }
        let (size, packed) = (entry.size(), entry.compressed_size());
        if size > limits.entry_bytes_max as u64 {
            return Err(DocError::over(Bound::EntryBytes));
        }
        if size > limits.ratio_free_bytes && size / packed.max(1) >= limits.ratio_max {
            return Err(DocError::over(Bound::Ratio));
        }
        total = total.saturating_add(size);
        if total > limits.total_bytes_max as u64 {
            return Err(DocError::over(Bound::TotalBytes));
        }
        wanted.push((index, name, size as usize)); // fits: entry_bytes_max is a usize
    }
    Ok(wanted)
}

/// The name with `/` between folders, or why it is refused. Some senders write `\`.
fn safe_name(entry: &ZipFileEntry<'_>, limits: &Limits) -> Result<String, DocError> {
    if entry.name_raw().len() > limits.name_bytes_max {
        return Err(DocError::over(Bound::NameBytes));
    }
    let name = entry.name().map_err(|_| DocError::zip(ZipFault::NameEncoding))?;
    let name = name.replace('\\', "/");
    let path = || DocError::zip(ZipFault::Path);
    if name.starts_with('/') || name.contains(':') || name.chars().any(char::is_control) {
        return Err(path());
    }
    let mut parts = Vec::new();
    for part in name.split('/') {
        match part {
            "" | "." => {}
            ".." => return Err(path()),
            part => parts.push(part),
        }
    }
    if parts.len() > limits.folders_max + 1 {
        return Err(DocError::over(Bound::Folders));
    }
    Ok(parts.join("/"))
}

fn inflate(
    archive: &mut ZipArchive<Cursor<&[u8]>>,
    index: usize,
    size: usize,
) -> Result<Vec<u8>, DocError> {
    let content = || DocError::zip(ZipFault::Content);
    let entry = archive.by_index(index).map_err(|_| content())?;
    let mut bytes = Vec::new();
    // One octet more than announced shows the lie; the crate checks the sum at the end.
    entry.take(size as u64 + 1).read_to_end(&mut bytes).map_err(|_| content())?;
    if bytes.len() != size {
        return Err(content());
    }
    Ok(bytes)
}

/// Writes an archive: the same files and instant always give the same octets.
///
/// # Errors
/// [`Bound::TotalBytes`] when the files do not fit a ZIP without extensions, [`ZipFault::DuplicateName`].
pub fn zip_files(files: &[File], at: Timestamp) -> Result<Vec<u8>, DocError> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(dos_time(at))
        .unix_permissions(0o644);
    for file in files {
        writer
            .start_file(file.name.as_str(), options)
            .map_err(|_| DocError::zip(ZipFault::DuplicateName))?;
        writer.write_all(&file.bytes).map_err(|_| DocError::over(Bound::TotalBytes))?;
    }
    let done = writer.finish().map_err(|_| DocError::over(Bound::TotalBytes))?;
    Ok(done.into_inner())
}

/// DOS times have two seconds of precision and begin in 1980.
fn dos_time(at: Timestamp) -> zip::DateTime {
    let moment = jiff::Timestamp::from_millisecond(at.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let moment = moment.to_zoned(jiff::tz::TimeZone::UTC);
    let (Ok(year), part) = (u16::try_from(moment.year()), |n: i8| n.unsigned_abs()) else {
        return zip::DateTime::default();
    };
    zip::DateTime::from_date_and_time(
        year,
        part(moment.month()),
        part(moment.day()),
        part(moment.hour()),
        part(moment.minute()),
        part(moment.second()),
    )
    .unwrap_or_default()
}
