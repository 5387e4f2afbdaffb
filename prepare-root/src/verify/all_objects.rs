//! Reads all objects of an image, one after the other. The next objects are requested in advance, because a disk answers many
//! requests faster than one at a time.

use std::collections::VecDeque;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use super::content;
use super::image_objects::ImageObject;
use super::object::{self, ObjectFault, Proof, Rule};

/// The time between two progress messages.
const TELL_EVERY: Duration = Duration::from_secs(5);
/// Far below the number of files that a process may have open.
const ASKED_FOR: usize = 64;

/// The objects that were good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Checked {
    pub(crate) objects: usize,
    /// The number of them that are sealed with the digest in the image.
    pub(crate) sealed: usize,
    pub(crate) bytes: u64,
    /// It is unknown whether they are sealed.
    pub(crate) without_verity: bool,
}

/// Reads all of them below `directory`, and reports progress. Ends at the first bad one.
pub(crate) fn check<'a>(
    directory: BorrowedFd<'_>,
    objects: &'a [ImageObject],
    rule: Rule,
    tell: impl Fn(Checked),
) -> Result<Checked, (&'a ImageObject, ObjectFault)> {
    let mut coming = objects.iter();
    let mut asked_for: VecDeque<(&ImageObject, Result<OwnedFd, ObjectFault>)> = VecDeque::with_capacity(ASKED_FOR);
    let mut buffer = vec![0; content::PIECE];
    let mut checked = Checked::default();
    let mut told = Instant::now();
    loop {
        while asked_for.len() < ASKED_FOR
            && let Some(object) = coming.next()
        {
            asked_for.push_back((object, object::ask_for(directory, object)));
        }
        let Some((object, file)) = asked_for.pop_front() else { return Ok(checked) };
        let read = file.and_then(|file| object::check(&file, object, rule, &mut buffer));
        let (proof, bytes) = read.map_err(|fault| (object, fault))?;
        checked.objects += 1;
        checked.bytes += bytes;
        checked.sealed += usize::from(proof == Proof::Seal);
        checked.without_verity |= proof == Proof::NameWithoutVerity;
        if told.elapsed() >= TELL_EVERY {
            tell(checked);
            told = Instant::now();
        }
    }
}
