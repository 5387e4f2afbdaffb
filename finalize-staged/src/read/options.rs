//! `$OSTREE_SYSROOT_OPTS`, libostree's variable with options for a sysroot.

use boot_list::plan::entry::Naming;

/// The supported options.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct SysrootOptions {
    /// `bootloader-naming-1`: new entries have the names of libostree before 2024.5.
    pub(crate) naming: Naming,
    /// `no-early-prune`: an update fails if the replaced deployment would have to be removed first.
    pub(crate) no_early_prune: bool,
}

impl SysrootOptions {
    /// The options of this process.
    pub(crate) fn of_environment() -> Self {
        Self::parse(&std::env::var("OSTREE_SYSROOT_OPTS").unwrap_or_default())
    }

    pub(crate) fn parse(text: &str) -> Self {
        let has = |wanted| text.split([',', ';', ':', ' ', '\t']).any(|option| option == wanted);
        let naming = if has("bootloader-naming-1") { Naming::WithStateroot } else { Naming::ByNumber };
        Self { naming, no_early_prune: has("no-early-prune") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_stand_between_any_of_libostrees_separators() {
        let both = SysrootOptions { naming: Naming::WithStateroot, no_early_prune: true };
        for separator in [",", ";", ":", " ", "\t", " ,"] {
            assert_eq!(SysrootOptions::parse(&["bootloader-naming-1", "x", "no-early-prune"].join(separator)), both);
        }
        assert_eq!(SysrootOptions::parse("no-early-prunes"), SysrootOptions::default());
    }
}
