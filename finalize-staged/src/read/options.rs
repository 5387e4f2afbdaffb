//! `$OSTREE_SYSROOT_OPTS`, libostree's variable for those who want something else of a sysroot than others.

use boot_list::plan::entry::Naming;

/// What it asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct SysrootOptions {
    /// `bootloader-naming-1`: new entries are named as before libostree 2024.5.
    pub(crate) naming: Naming,
    /// `no-early-prune`: an update fails rather than to lose the deployment that it replaces.
    pub(crate) no_early_prune: bool,
}

impl SysrootOptions {
    /// Those of this process.
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
