//! What older kernels need instead of the mount options that are used, for whoever was refused those. A version is asked for only to say
//! what is missing, never to decide.

use rustix::io::Errno;

use crate::SystemError;

/// Whether a filesystem was refused for an option that the kernel does not know. One that still has the older interface for overlays
/// says nothing at all.
pub(crate) fn knows_no_such_option(error: &SystemError) -> bool {
    error.reason == Errno::INVAL && error.kernel.as_ref().is_none_or(|text| text.contains("Unknown parameter"))
}

/// Before Linux 6.7 an overlay has its layers in one option, `lowerdir`, in which colons separate, and two of them a data-only layer.
pub(crate) fn layers_in_one_option(image: &str, objects: &str) -> String {
    let escaped = |path: &str| path.replace('\\', "\\\\").replace(':', "\\:");
    format!("{}::{}", escaped(image), escaped(objects))
}

/// Says which kernels know the options of an overlay that this one has refused in both forms: it says no more than that it knows no such
/// option, or nothing. A newer one has other reasons, and keeps its errno; an older one that boots an image all the same has got what it
/// needs from its distribution.
pub(crate) fn too_old(error: SystemError, verity: bool) -> SystemError {
    if !knows_no_such_option(&error) {
        return error;
    }
    let (what, needed) = if verity { ("verity=require", (6, 6)) } else { ("data-only layers", (6, 5)) };
    let running = rustix::system::uname();
    let release = running.release().to_string_lossy();
    let object = format!("an overlay with {what} (from Linux {}.{} on; this is {release})", needed.0, needed.1);
    let is_older = version(&release).is_some_and(|version| version < needed);
    SystemError { object: object.into(), reason: if is_older { Errno::OPNOTSUPP } else { error.reason }, ..error }
}

/// Major and minor number of a kernel's release.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_begins_with_its_version() {
        assert_eq!(version("6.1.0-50-cloud-amd64"), Some((6, 1)));
        assert_eq!(version("6.12"), Some((6, 12)));
        assert_eq!(version("next"), None);
    }

    #[test]
    fn what_separates_layers_is_escaped_in_their_paths() {
        assert_eq!(layers_in_one_option("/a", "/o:b\\j"), "/a::/o\\:b\\\\j");
    }
}
