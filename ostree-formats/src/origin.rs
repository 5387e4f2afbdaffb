//! Origin files: where a deployment came from.

use crate::keyfile::{Keyfile, KeyfileError, boolean};

/// The refspec or container image of the deployment, for messages.
///
/// `None` if the file has neither, or is damaged: this text is only shown.
pub fn followed(bytes: &[u8]) -> Option<String> {
    let keyfile = Keyfile::parse(bytes).ok()?;
    ["refspec", "baserefspec", "container-image-reference"]
        .iter()
        .find_map(|key| keyfile.get("origin", key))
        .map(|entry| String::from_utf8_lossy(entry.value).into_owned())
}

/// Whether `ostree admin pin` has pinned the deployment: then it is kept.
///
/// # Errors
/// The file is damaged, so it is unknown.
pub fn is_pinned(bytes: &[u8]) -> Result<bool, KeyfileError> {
    let keyfile = Keyfile::parse(bytes)?;
    let Some(pinned) = keyfile.get("libostree-transient", "pinned") else { return Ok(false) };
    Ok(boolean(pinned.text()?).unwrap_or(false))
}

#[cfg(test)]
mod tests {
    use super::{followed, is_pinned};

    #[test]
    fn pinned_as_ostree_admin_pin_writes_it() {
        assert_eq!(is_pinned(b"[origin]\nrefspec=b\n\n[libostree-transient]\npinned=true\n"), Ok(true));
        assert_eq!(is_pinned(b"[origin]\nrefspec=b\n"), Ok(false));
        assert!(is_pinned(b"nonsense").is_err());
    }

    #[test]
    fn a_refspec_or_an_image() {
        assert_eq!(followed(b"[origin]\nrefspec=debian:stable\n").as_deref(), Some("debian:stable"));
        assert_eq!(
            followed(b"[origin]\ncontainer-image-reference=ostree-unverified-registry:x\n").as_deref(),
            Some("ostree-unverified-registry:x")
        );
        assert_eq!(followed(b"nonsense"), None);
    }
}
