//! Builds the policy of the new tree with the machine's changes, in the work directory.

use std::os::fd::OwnedFd;
use std::time::Duration;

use ostree_formats::deployment::DeploymentPath;
use ostree_sysroot::Roots;
use rustix::io::Errno;
use system::program::End;

use super::sandbox;
use super::work::{self, Inputs, Record};
use crate::policy::changes::PolicyPlan;
use crate::policy::modules;
use crate::program::{PROGRAM, SUCCESS};

/// What is built, for which deployment.
#[derive(Clone, Copy)]
pub(crate) struct Rebuild<'a> {
    pub(crate) roots: &'a Roots,
    /// The staged deployment.
    pub(crate) target: &'a DeploymentPath,
    /// The merge deployment.
    pub(crate) from: &'a DeploymentPath,
    pub(crate) policy: &'a PolicyPlan,
    /// The new `etc` is `usr/etc`.
    pub(crate) reset: bool,
    /// How long `semodule` may take.
    pub(crate) limit: Duration,
}

/// Why the policy could not be built.
struct Failure {
    reason: String,
    /// The reason may be gone at the next attempt.
    may_pass: bool,
}

impl Failure {
    fn passing(reason: String) -> Self {
        Self { reason, may_pass: true }
    }
}

impl Rebuild<'_> {
    /// The work directory with the policy, built now or earlier from the same files. An error is for the user.
    ///
    /// With `again`, a failure of an earlier run is no reason not to try.
    pub(crate) fn built(&self, again: bool, progress: &mut dyn FnMut()) -> Result<OwnedFd, String> {
        let inputs = Inputs::open(self.roots, self.from, self.target, self.reset).map_err(|error| error.to_string())?;
        let fingerprint = self.fingerprint(&inputs)?;
        if let Some(work) = work::open(self.roots).map_err(|error| error.to_string())?
            && let Some(record) = work::record(&work).filter(|record| record.inputs == fingerprint)
        {
            match record.failure {
                None if work::count(&work, self.policy) == Ok(record.files) => return Ok(work),
                Some(failure) if !again && !record.may_pass => return Err(failure),
                // Part of it is gone, or the reason of the failure may be.
                _ => {}
            }
        }
        let work = work::make(self.roots, &inputs, self.policy).map_err(|error| {
            // The disk may be full of it.
            work::forget(self.roots);
            error.to_string()
        })?;
        let failure = self.refresh(progress).err();
        if failure.is_some() {
            work::remove_copy(&work);
        }
        let files = match &failure {
            None => work::count(&work, self.policy).map_err(|error| format!("cannot read the policy: {error}"))?,
            Some(_) => 0,
        };
        let may_pass = failure.as_ref().is_some_and(|failure| failure.may_pass);
        let record = Record { inputs: fingerprint, files, failure: failure.map(|failure| failure.reason), may_pass };
        if let Err(error) = work::keep_record(&work, &record) {
            log::warn!("{error}: the policy will be built again at shutdown");
        }
        match record.failure {
            None => Ok(work),
            Some(failure) => Err(failure),
        }
    }

    /// The failure of an earlier run with the same files. It only reads.
    pub(super) fn earlier_failure(&self) -> Option<String> {
        let record = work::record(&work::open_to_read(self.roots)?)?;
        let inputs = Inputs::open(self.roots, self.from, self.target, self.reset).ok()?;
        (self.fingerprint(&inputs).ok()? == record.inputs).then_some(record.failure)?
    }

    fn fingerprint(&self, inputs: &Inputs) -> Result<u64, String> {
        let fingerprint = inputs.fingerprint(self.target, self.policy);
        fingerprint.map_err(|error| format!("cannot read the policy: {error}"))
    }

    fn refresh(&self, progress: &mut dyn FnMut()) -> Result<(), Failure> {
        let deployment = format!("/sysroot/{}", self.target);
        let failed = |error: Errno| Failure::passing(format!("cannot execute this program again: {error}"));
        let program = sandbox::program(&deployment, work::PATH).map_err(failed)?;
        let ended = program.run(self.limit, progress).map_err(failed)?;
        let output = String::from_utf8_lossy(&ended.output).into_owned();
        // Its own words, for whoever has to mend a module.
        output.lines().filter(|line| !line.trim().is_empty()).for_each(|line| log::info!("semodule: {line}"));
        match ended.end {
            End::Status(SUCCESS) => Ok(()),
            End::Status(_) => Err(Failure { reason: failure(&output), may_pass: false }),
            End::Signal(_) => Err(Failure::passing(failure(&output))),
            End::TooLong => {
                Err(Failure::passing(format!("semodule has not ended after {} seconds", self.limit.as_secs())))
            }
        }
    }
}

/// The reason in one line: what semodule said, how it ended, and the modules that it named.
fn failure(output: &str) -> String {
    // The last line is the sandbox's own, with the name of this program.
    let prefix = format!("{PROGRAM}: ");
    let lines: Vec<&str> = output.lines().map(|line| shortened(line.trim())).filter(|line| !line.is_empty()).collect();
    let (last, before) = match lines.split_last() {
        Some((last, before)) => (last.strip_prefix(prefix.as_str()).unwrap_or(last), before),
        None => return "semodule failed".to_owned(),
    };
    let telling = |line: &&&str| line.contains("ailed to resolve") || line.contains("nable to");
    let words = match before.iter().find(telling).or(before.last()) {
        Some(line) => format!("{line}; {last}"),
        None => last.to_owned(),
    };
    match modules::named_in(output).as_slice() {
        [] => words,
        modules => format!("module {}: {words}", modules.join(", ")),
    }
}

/// The beginning of a line: the stamp in `/boot` has room for a few.
fn shortened(line: &str) -> &str {
    const CHARACTERS: usize = 200;
    line.char_indices().nth(CHARACTERS).and_then(|(end, _)| line.get(..end)).unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_failure_names_module_and_reason() {
        let output = "Failed to resolve allow statement at /etc/selinux/t/tmp/modules/400/mine/cil:1\nFailed to resolve AST\n\
            /usr/sbin/semodule:  Failed!\nostree-finalize-staged: semodule --refresh ended with exit status 1\n";
        assert_eq!(
            failure(output),
            "module mine: Failed to resolve allow statement at /etc/selinux/t/tmp/modules/400/mine/cil:1; semodule --refresh \
             ended with exit status 1"
        );
        assert_eq!(failure("the new tree has no semodule\n"), "the new tree has no semodule");
        assert_eq!(failure(""), "semodule failed");
        assert_eq!(failure(&"\u{fffd}".repeat(10_000)).chars().count(), 200);
    }
}
