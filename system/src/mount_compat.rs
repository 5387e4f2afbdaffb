//! What older kernels need instead of the mount options that are used, for whoever was refused those: nobody asks for a version.

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

/// Says which kernels know the options of an overlay that this one has refused in both forms.
pub(crate) fn too_old(error: SystemError, verity: bool) -> SystemError {
    if !knows_no_such_option(&error) {
        return error;
    }
    let needed = if verity {
        "verity=require needs Linux 6.6; on a newer one see dmesg"
    } else {
        "data-only layers need Linux 6.5; on a newer one see dmesg"
    };
    let said = error.kernel.map(|text| format!("; {text}")).unwrap_or_default();
    SystemError { kernel: Some(format!("{needed}{said}")), ..error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_separates_layers_is_escaped_in_their_paths() {
        assert_eq!(layers_in_one_option("/a", "/o:b\\j"), "/a::/o\\:b\\\\j");
    }
}
