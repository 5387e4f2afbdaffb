//! The boot loader: what it understands depends on its version.

/// Before a version, in what systemd-boot says of itself and in its program.
const NAME: &str = "systemd-boot ";
/// How the program of systemd-boot can be recognised.
const MAGIC: &[u8] = b"#### LoaderInfo: systemd-boot ";

/// What is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Loader {
    /// Major and minor number; `None`: it is taken for a new one.
    pub version: Option<(u32, u32)>,
    /// As in the name of its file: `x64`.
    pub architecture: String,
}

impl Loader {
    /// By what it says of itself: `systemd-boot 257.9-1`.
    pub fn from_info(info: Option<&str>, architecture: &str) -> Self {
        let version = info.and_then(|info| info.strip_prefix(NAME)).and_then(|version| {
            let digits = |text: &str| text.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok();
            let minor = version.split_once('.').and_then(|(_, minor)| digits(minor));
            Some((digits(version)?, minor.unwrap_or(0)))
        });
        Self { version, architecture: architecture.to_owned() }
    }

    /// Whether `foo+2-1.conf` has the id `foo+2-1.conf`, and not `foo.conf`: before 257.13 and 258.
    pub fn has_counters_in_ids(&self) -> bool {
        self.version.is_some_and(|version| version < (257, 13))
    }

    /// Whether it knows `preferred`: since 260.
    pub fn knows_preferred(&self) -> bool {
        self.version.is_none_or(|version| version >= (260, 0))
    }

    /// Whether it knows the key `uki`: since 258.
    pub fn knows_ukis(&self) -> bool {
        self.version.is_none_or(|version| version >= (258, 0))
    }
}

/// What a program on the ESP says of itself, if it is systemd-boot: `systemd-boot 257.9-1`.
pub fn info_in(program: &[u8]) -> Option<String> {
    let start = program.windows(MAGIC.len()).position(|window| window == MAGIC)?;
    let rest = program.get(start + MAGIC.len()..)?;
    let version = rest.get(..rest.iter().take(100).position(|byte| !byte.is_ascii_graphic())?)?;
    Some(format!("{NAME}{}", String::from_utf8_lossy(version)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_those_that_loaders_have() {
        let version = |info| Loader::from_info(Some(info), "x64").version;
        assert_eq!(version("systemd-boot 252.39-1~deb12u2"), Some((252, 39)));
        assert_eq!(version("systemd-boot 258~rc1"), Some((258, 0)));
        assert_eq!(version("systemd-boot 262"), Some((262, 0)));
        assert_eq!(version("rEFInd 0.14"), None);
        assert_eq!(version("systemd-boot x"), None);
        let counters = |info| Loader::from_info(Some(info), "x64").has_counters_in_ids();
        assert!(counters("systemd-boot 252.4") && counters("systemd-boot 257.12"));
        assert!(!counters("systemd-boot 257.13") && !counters("systemd-boot 258.1"));
        assert!(!Loader::default().has_counters_in_ids() && Loader::default().knows_preferred());
    }

    #[test]
    fn a_program_is_recognised() {
        let program = b"MZ\0\xff#### LoaderInfo: systemd-boot 252.39-1~deb12u2 ####\0\0";
        assert_eq!(info_in(program).as_deref(), Some("systemd-boot 252.39-1~deb12u2"));
        assert_eq!(info_in(b"MZ GRUB"), None);
        assert_eq!(info_in(b"#### LoaderInfo: systemd-boot 25"), None);
    }
}
