//! The command line of the program.

use std::ffi::OsString;
use std::time::Duration;

use lexopt::prelude::*;

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    /// Make the staged deployment bootable.
    Finalize { lock_timeout: Duration },
    /// What can be done before shutdown.
    Prepare,
    /// Print what finalizing would do, and do nothing.
    Plan { json: bool },
    /// Keep `/boot` in use.
    Hold,
    /// Report at the next boot.
    BootComplete,
    /// Remove old deployments, after a boot.
    Clean,
    /// Print and leave.
    Print(&'static str),
}

/// Below the five minutes that the unit has: there must be time left to say why.
const LOCK_TIMEOUT: Duration = Duration::from_secs(240);

const HELP: &str = "\
Makes the staged deployment of an OSTree system bootable: merges /etc, installs its kernel, writes boot loader entries and
swaps them in. Run at shutdown by ostree-finalize-staged.service.

ostree-finalize-staged [--lock-timeout=SECONDS]
ostree-finalize-staged --prepare | --plan [--json] | --hold | --boot-complete | --clean

  --prepare            what can be done before shutdown: kernel and initramfs into /boot, and checks
  --plan               print what would be done, and do nothing
  --json               with --plan: for machines
  --hold               keep /boot in use until SIGTERM
  --boot-complete      report a finalization that failed before this boot
  --clean              remove the deployments that updates have replaced
  --lock-timeout=SECONDS  how long to wait for whoever has the lock of the sysroot (240)
  --help, --version

See ostree-finalize-staged(8).
";

const VERSION: &str = concat!("ostree-finalize-staged (firstroot) ", env!("CARGO_PKG_VERSION"), "\n");

/// Reads the arguments.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, lexopt::Error> {
    let mut parser = lexopt::Parser::from_args(arguments);
    let (mut command, mut json, mut lock_timeout) = (None, false, None);
    while let Some(argument) = parser.next()? {
        let one = match argument {
            Long("help") | Short('h') => return Ok(Command::Print(HELP)),
            Long("version") => return Ok(Command::Print(VERSION)),
            Long("json") => {
                json = true;
                continue;
            }
            Long("lock-timeout") => {
                lock_timeout = Some(Duration::from_secs(parser.value()?.parse()?));
                continue;
            }
            Long("prepare") => Command::Prepare,
            Long("plan") => Command::Plan { json: false },
            Long("hold") => Command::Hold,
            Long("boot-complete") => Command::BootComplete,
            Long("clean") => Command::Clean,
            other => return Err(other.unexpected()),
        };
        if command.replace(one).is_some() {
            return Err("only one of --prepare, --plan, --hold, --boot-complete and --clean at a time".into());
        }
    }
    match (command, json, lock_timeout) {
        (Some(Command::Plan { .. }), json, None) => Ok(Command::Plan { json }),
        (_, true, _) => Err("--json goes with --plan".into()),
        (Some(_), _, Some(_)) => Err("--lock-timeout is for finalizing".into()),
        (Some(command), false, None) => Ok(command),
        (None, false, timeout) => Ok(Command::Finalize { lock_timeout: timeout.unwrap_or(LOCK_TIMEOUT) }),
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
        assert_eq!(parsed(&[]), Ok(Command::Finalize { lock_timeout: LOCK_TIMEOUT }));
        assert_eq!(parsed(&["--json", "--plan"]), Ok(Command::Plan { json: true }));
    }

    #[test]
    fn a_wrong_call_says_what_is_wrong() {
        for (arguments, message) in [
            (&["--json"][..], "--json goes with --plan"),
            (&["--hold", "--prepare"], "only one of --prepare, --plan, --hold, --boot-complete and --clean at a time"),
            (&["--prepare", "--lock-timeout=1"], "--lock-timeout is for finalizing"),
            (&["/sysroot"], "unexpected argument \"/sysroot\""),
        ] {
            assert_eq!(parsed(arguments), Err(message.to_owned()), "{arguments:?}");
        }
    }
}
