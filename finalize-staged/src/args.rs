//! The command line of the program.

use std::ffi::OsString;
use std::time::Duration;

use lexopt::prelude::*;

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    /// Make the staged deployment boot next.
    Finalize(Timeouts),
    /// Do what can be done before shutdown.
    Prepare,
    /// Print what finalization would do, and change nothing.
    Plan { json: bool },
    /// Keep `/boot` in use.
    Hold,
    /// Report at the next boot.
    BootComplete,
    /// Remove old deployments, after a boot.
    Clean,
    /// Build the policy of a deployment: the outer process of [`crate::execute::policy::sandbox`].
    RebuildPolicy { deployment: OsString, work: OsString },
    /// The inner process.
    RebuildPolicyInside { deployment: OsString, work: OsString },
    /// Print and leave.
    Print(&'static str),
}

/// How long a finalization waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Timeouts {
    /// For the lock of the sysroot.
    pub(crate) lock: Duration,
    /// For the program that writes GRUB's menu.
    pub(crate) grub: Duration,
}

/// Less than the five minutes of the unit, with time for the rest of a run.
const GRUB_TIMEOUT: Duration = Duration::from_secs(90);
/// Less than the five minutes of the unit, so that there is time to report the reason.
const LOCK_TIMEOUT: Duration = Duration::from_secs(240);

const HELP: &str = "\
Makes the staged deployment of an OSTree system boot next: merges /etc, installs the kernel, writes boot loader entries and
activates them. ostree-finalize-staged.service runs it at shutdown.

ostree-finalize-staged [--lock-timeout=SECONDS] [--grub-timeout=SECONDS]
ostree-finalize-staged --prepare | --plan [--json] | --hold | --boot-complete | --clean

  --prepare            before shutdown: copy kernel and initramfs to /boot, and check for problems
  --plan               print what the next shutdown would do, and change nothing
  --json               with --plan: print JSON
  --hold               keep /boot mounted until SIGTERM
  --boot-complete      report if the last finalization failed or was interrupted
  --clean              after a boot: remove replaced deployments
  --lock-timeout=SECONDS  how long to wait for the lock of the sysroot (default: 240)
  --grub-timeout=SECONDS  how long grub2-mkconfig may take (default: 90)
  --help, --version

See ostree-finalize-staged(8).
";

const VERSION: &str = concat!("ostree-finalize-staged (firstroot) ", env!("CARGO_PKG_VERSION"), "\n");

/// Reads the arguments.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, lexopt::Error> {
    let mut parser = lexopt::Parser::from_args(arguments);
    let (mut command, mut json, mut lock, mut grub) = (None, false, None, None);
    while let Some(argument) = parser.next()? {
        let one = match argument {
            Long("help") | Short('h') => return Ok(Command::Print(HELP)),
            Long("version") => return Ok(Command::Print(VERSION)),
            Long("json") => {
                json = true;
                continue;
            }
            Long("lock-timeout") => {
                lock = Some(Duration::from_secs(parser.value()?.parse()?));
                continue;
            }
            Long("grub-timeout") => {
                grub = Some(Duration::from_secs(parser.value()?.parse()?));
                continue;
            }
            // Only this program gives itself these two.
            Long("rebuild-policy") => Command::RebuildPolicy { deployment: parser.value()?, work: parser.value()? },
            Long("rebuild-policy-inside") => {
                Command::RebuildPolicyInside { deployment: parser.value()?, work: parser.value()? }
            }
            Long("prepare") => Command::Prepare,
            Long("plan") => Command::Plan { json: false },
            Long("hold") => Command::Hold,
            Long("boot-complete") => Command::BootComplete,
            Long("clean") => Command::Clean,
            other => return Err(other.unexpected()),
        };
        if command.replace(one).is_some() {
            return Err("--prepare, --plan, --hold, --boot-complete and --clean cannot be used together".into());
        }
    }
    match (command, json, lock.or(grub)) {
        (Some(Command::Plan { .. }), json, None) => Ok(Command::Plan { json }),
        (_, true, _) => Err("--json can only be used with --plan".into()),
        (Some(_), _, Some(_)) => Err("a timeout cannot be used with another option".into()),
        (Some(command), false, None) => Ok(command),
        (None, false, _) => {
            let (lock, grub) = (lock.unwrap_or(LOCK_TIMEOUT), grub.unwrap_or(GRUB_TIMEOUT));
            Ok(Command::Finalize(Timeouts { lock, grub }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(arguments: &[&str]) -> Result<Command, String> {
        parse(arguments.iter().map(OsString::from)).map_err(|error| error.to_string())
    }

    #[test]
    fn without_arguments_it_finalizes() {
        let timeouts = Timeouts { lock: LOCK_TIMEOUT, grub: GRUB_TIMEOUT };
        assert_eq!(parsed(&[]), Ok(Command::Finalize(timeouts)));
        let grub = Duration::from_secs(1);
        assert_eq!(parsed(&["--grub-timeout=1"]), Ok(Command::Finalize(Timeouts { grub, ..timeouts })));
        assert_eq!(parsed(&["--json", "--plan"]), Ok(Command::Plan { json: true }));
    }

    #[test]
    fn a_wrong_call_says_what_is_wrong() {
        for (arguments, message) in [
            (&["--json"][..], "--json can only be used with --plan"),
            (
                &["--hold", "--prepare"],
                "--prepare, --plan, --hold, --boot-complete and --clean cannot be used together",
            ),
            (&["--prepare", "--lock-timeout=1"], "a timeout cannot be used with another option"),
            (&["/sysroot"], "unexpected argument \"/sysroot\""),
        ] {
            assert_eq!(parsed(arguments), Err(message.to_owned()), "{arguments:?}");
        }
    }
}
