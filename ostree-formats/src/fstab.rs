//! Whether `fstab(5)` mounts `/var`.

/// Whether a line mounts something on `/var`. Then systemd mounts it, and the generator does not. By the rules of getmntent(3): fields
/// are separated by spaces and tabs, and slashes count once.
pub fn mounts_var(fstab: &[u8]) -> bool {
    fstab.split(|byte| *byte == b'\n').any(|line| {
        let mut fields = line.split(|byte| matches!(byte, b' ' | b'\t')).filter(|field| !field.is_empty());
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
            "/dev/sda3 var/ ext4",
            "/dev/sda3 /var\r",
        ] {
            assert!(!mounts_var(text.as_bytes()), "{text:?}");
        }
    }
}
