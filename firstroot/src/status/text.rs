//! The state of a system as a page.

use super::model::{ShownDeployment, State};
use crate::read::journal::LastFinalization;
use crate::read::programs::{Owner, Replaced};
use crate::show::page::{Page, Style};

/// Where texts begin.
const COLUMN: usize = 14;

pub(super) fn page(state: &State, page: &mut Page) {
    for shown in &state.deployments {
        let mark = if shown.booted { "*" } else { "-" };
        let style = if shown.booted { Style::Good } else { Style::Plain };
        page.labelled(0, COLUMN, style, &format!("{mark} {}", shown.index), &words(shown));
        page.line(COLUMN, Style::Plain, &shown.deployment);
    }
    let mut say = |style: Style, label: &str, text: &str| page.labelled(0, COLUMN, style, label, text);
    match &state.booted {
        Some(booted) => say(Style::Bold, "Booted", booted),
        None => say(Style::Warning, "Booted", "none of these"),
    }
    if let Some(next) = &state.next {
        say(Style::Bold, "Next boot", &format!("{}: {}", next.deployment, next.why));
    }
    if let Some(staged) = &state.staged {
        let mut words = vec![staged.deployment.clone()];
        words.extend(staged.version.as_ref().map(|version| format!("version {version}")));
        words.extend(staged.locked.then(|| "locked".to_owned()));
        words.extend(staged.interrupted.then(|| "its finalization was interrupted".to_owned()));
        words.extend(staged.prepared.map(|is| if is { "prepared" } else { "not prepared yet" }.to_owned()));
        say(Style::Bold, "Staged", &words.join(", "));
        for conflict in &staged.conflicts {
            say(Style::Bad, "Conflict", &format!("{conflict}; keep one of the two: rename yours, or remove it"));
        }
    }
    if let Some(path) = &state.soft_reboot {
        say(Style::Bold, "Soft reboot", path);
    }
    if let Some(recovered) = &state.recovered {
        let text = format!(
            "this boot was recovered: the boot link {} is missing, and {} was booted because {}; to repair: firstroot repair bootlinks",
            recovered.missing, recovered.deployment, recovered.reason
        );
        say(Style::Bad, "Recovered", &text);
    }
    if let Some(why) = &state.fell_back {
        say(Style::Warning, "Not default", why);
    }
    if let Some(failure) = &state.failure {
        say(Style::Bad, "Failed", &format!("the last finalization: {failure}"));
    }
    for remark in &state.remarks {
        say(Style::Warning, "Remark", remark);
    }
    if let Some(last) = &state.last_finalization {
        finalization(last, &mut say);
    }
    policy(state, &mut say);
    if let Some(name) = &state.boot_loader {
        say(Style::Bold, "Boot loader", if name == "none" { "reads the entries itself" } else { name });
    }
    programs(&state.programs, &mut say);
    for warning in &state.warnings {
        say(Style::Warning, "Warning", warning);
    }
    for unseen in &state.not_seen {
        say(Style::Warning, "Not seen", unseen);
    }
}

fn words(shown: &ShownDeployment) -> String {
    let mut words = vec![shown.title.clone()];
    words.extend(shown.version.as_ref().map(|version| format!("version {version}")));
    words.push(format!("stateroot {}", shown.stateroot));
    words.extend(shown.booted.then(|| "booted".to_owned()));
    words.extend(shown.pinned.then(|| "pinned".to_owned()));
    words.extend(shown.tries_left.map(|left| format!("{left} tries left")));
    words.join(", ")
}

fn finalization(last: &LastFinalization, say: &mut impl FnMut(Style, &str, &str)) {
    let ms = |tenths: u64| format!("{}.{} ms", tenths / 10, tenths % 10);
    let what = match &last.deployment {
        Some(deployment) => format!("{deployment} in {}", ms(last.tenths_of_ms.unwrap_or_default())),
        None => "it failed".to_owned(),
    };
    let phases: Vec<String> =
        last.phases.iter().map(|phase| format!("{} {}", phase.name, ms(phase.tenths_of_ms))).collect();
    let phases = if phases.is_empty() { String::new() } else { format!(" ({})", phases.join(", ")) };
    say(Style::Bold, "Finalized", &format!("{}: {what}{phases}", utc(last.time)));
    last.warnings.iter().for_each(|warning| say(Style::Warning, "", warning));
    last.errors.iter().for_each(|error| say(Style::Bad, "", error));
}

fn policy(state: &State, say: &mut impl FnMut(Style, &str, &str)) {
    let Some(policy) = &state.policy else { return };
    let mut words = vec![format!("composefs {}", policy.composefs)];
    match policy.booted_from_image {
        Some(true) if policy.booted_with_verity => words.push("booted from a verified image".to_owned()),
        Some(true) => words.push("booted from an image".to_owned()),
        Some(false) => words.push("booted without an image".to_owned()),
        None => {}
    }
    words.extend(policy.booted_signed_by.as_ref().map(|keys| format!("signed by a key of {keys}")));
    words.extend((policy.sysroot_read_only == Some(true)).then(|| "/sysroot is read-only".to_owned()));
    words.extend(policy.etc_is_transient.then(|| "changes in /etc are lost at a reboot".to_owned()));
    words.push(policy.selinux.as_ref().map_or("no SELinux".to_owned(), |name| format!("SELinux policy {name}")));
    say(Style::Bold, "Policy", &words.join(", "));
    policy.errors.iter().for_each(|error| say(Style::Bad, "", error));
}

fn programs(programs: &[Replaced], say: &mut impl FnMut(Style, &str, &str)) {
    for (owner, words) in [
        (Owner::Firstroot, "firstroot's"),
        (Owner::Libostree, "libostree's"),
        (Owner::Missing, "not there"),
        (Owner::Unknown, "not readable"),
    ] {
        let names: Vec<&str> =
            programs.iter().filter(|program| program.by == owner).map(|program| program.name.as_str()).collect();
        if !names.is_empty() {
            say(Style::Bold, "Programs", &format!("{words}: {}", names.join(", ")));
        }
    }
}

/// A time as `2026-11-28 06:12:34 UTC`.
fn utc(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days since 0000-03-01, in eras of 400 years.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year}-{month:02}-{day:02} {:02}:{:02}:{:02} UTC", rest / 3_600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests {
    use super::utc;

    #[test]
    fn a_day_is_the_day_that_it_is() {
        assert_eq!(utc(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(utc(951_782_399), "2000-02-28 23:59:59 UTC");
        assert_eq!(utc(951_782_400), "2000-02-29 00:00:00 UTC");
        assert_eq!(utc(1_795_846_354), "2026-11-28 06:12:34 UTC");
    }
}
