//! Origin files: where a deployment came from.

use crate::keyfile::Keyfile;

/// What the deployment follows, for a human: the refspec, or a container image.
///
/// `None` when the file says neither, or is damaged: this is only ever shown, never acted upon.
pub fn followed(bytes: &[u8]) -> Option<String> {
    let keyfile = Keyfile::parse(bytes).ok()?;
    ["refspec", "baserefspec", "container-image-reference"]
        .iter()
        .find_map(|key| keyfile.get("origin", key))
        .map(|entry| entry.value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::followed;

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
/// stub
pub fn is_pinned(bytes: &[u8]) -> Result<bool, crate::keyfile::KeyfileError> {
    let k = Keyfile::parse_merging(bytes)?;
    Ok(k.get("libostree-transient", "pinned").and_then(|e| crate::keyfile::boolean(e.value)).unwrap_or(false))
}
