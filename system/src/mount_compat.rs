//! Mount options for older kernels, used after the kernel has refused the current ones. The version is only read for error messages,
//! never to decide.

use rustix::io::Errno;

use crate::SystemError;

/// Whether a filesystem was refused because of an option that the kernel does not know. Kernels with the older interface for overlays
/// have no message at all.
pub(crate) fn knows_no_such_option(error: &SystemError) -> bool {
    error.reason == Errno::INVAL && error.kernel.as_ref().is_none_or(|text| text.contains("Unknown parameter"))
}

/// Before Linux 6.7 an overlay has its layers in one option, `lowerdir`: a colon separates layers, two colons a data-only layer.
pub(crate) fn layers_in_one_option(image: &str, objects: &str) -> String {
    let escaped = |path: &str| path.replace('\\', "\\\\").replace(':', "\\:");
    format!("{}::{}", escaped(image), escaped(objects))
}

/// Adds the needed version of Linux to the error of an overlay that was refused in both forms: the kernel only reports an unknown
/// option, or nothing. A newer kernel has other reasons and keeps its errno. An older kernel may have the feature from its
/// distribution; then there is no error.
pub(crate) fn too_old(error: SystemError, verity: bool) -> SystemError {
    if !knows_no_such_option(&error) {
        return error;
    }
    let (what, needed) = if verity { ("verity=require", (6, 6)) } else { ("data-only layers", (6, 5)) };
    let running = rustix::system::uname();
    let release = running.release().to_string_lossy();
    let object = format!("an overlay with {what} (needs Linux {}.{}; this is {release})", needed.0, needed.1);
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
