//! Whether `fstab(5)` mounts `/var`.

/// Whether a line mounts something on `/var`. Then systemd mounts it, and libostree's generator does not.
pub(crate) fn mounts_var(fstab: &[u8]) -> bool {
    fstab.split(|byte| *byte == b'\n').any(|line| {
        let mut fields = line.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty());
        let is_comment = fields.next().is_none_or(|source| source.starts_with(b"#"));
        let target = fields.next().unwrap_or_default();
        let mut names = target.split(|byte| *byte == b'/').filter(|name| !name.is_empty());
        !is_comment && target.starts_with(b"/") && names.next() == Some(b"var") && names.next().is_none()
    })
}

#[cfg(test)]
mod tests {
    use super::mounts_var;

    #[test]
    fn only_var_itself_counts() {
        for text in
            ["/dev/sda3 /var ext4 defaults 0 0", "\tUUID=1\t//var/  ext4", "a /var", "# x\na / b\nLABEL=v /var auto"]
        {
            assert!(mounts_var(text.as_bytes()), "{text:?}");
        }
        for text in [
            "",
            "#/dev/sda3 /var ext4",
            " # a /var",
            "/dev/sda3 /var/log ext4",
            "/var /srv none bind",
            "a var b",
            "\u{fc} /",
        ] {
            assert!(!mounts_var(text.as_bytes()), "{text:?}");
        }
    }
}
