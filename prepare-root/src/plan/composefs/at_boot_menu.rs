//! What helps in the boot menu if a demanded image stops the boot.

use ostree_formats::prepare_root_conf::{ComposefsMode, KernelArgumentPolicy, PrepareRootConf};

use super::error::AtBootMenu;
use super::mode::{Decision, transient};

/// What helps in the boot menu. Without the kernel argument the boot succeeds if the configured mode is at most `enough`.
pub(crate) fn at_boot_menu(conf: &PrepareRootConf, decision: &Decision, enough: ComposefsMode) -> AtBootMenu {
    let transient = transient(conf).is_some();
    let is_enough = conf.composefs <= enough && !(transient && conf.composefs == ComposefsMode::No);
    if decision.differs_from(conf) && is_enough {
        AtBootMenu::RemoveArgument
    } else if conf.composefs_kernel_argument == KernelArgumentPolicy::Allow && !transient {
        AtBootMenu::SwitchOff
    } else {
        AtBootMenu::Nothing
    }
}

#[cfg(test)]
mod tests {
    use super::super::mode::decide;
    use super::*;

    fn conf(composefs: ComposefsMode, policy: KernelArgumentPolicy) -> PrepareRootConf {
        PrepareRootConf { composefs, composefs_kernel_argument: policy, ..PrepareRootConf::default() }
    }

    #[test]
    fn what_is_advised_at_the_boot_menu_works() {
        use AtBootMenu::{Nothing, RemoveArgument, SwitchOff};
        let (no, yes, verity) = (ComposefsMode::No, ComposefsMode::Yes, ComposefsMode::Verity);
        for (configured, policy, transient, argument, advised) in [
            (verity, KernelArgumentPolicy::Allow, false, None, SwitchOff),
            (verity, KernelArgumentPolicy::Strengthen, false, None, Nothing),
            (verity, KernelArgumentPolicy::Allow, true, None, Nothing),
            (yes, KernelArgumentPolicy::Allow, true, Some("verity"), RemoveArgument),
            (no, KernelArgumentPolicy::Strengthen, false, Some("verity"), RemoveArgument),
            (no, KernelArgumentPolicy::Allow, true, Some("verity"), Nothing),
            (verity, KernelArgumentPolicy::Allow, false, Some("verity"), SwitchOff),
        ] {
            let conf = PrepareRootConf { root_transient: transient, ..conf(configured, policy) };
            let decision = decide(&conf, argument).unwrap();
            assert_eq!(
                at_boot_menu(&conf, &decision, yes),
                advised,
                "{configured:?} {policy:?} {transient} {argument:?}"
            );
        }
    }
}
