//! The answer as a page.

use esp_projection::select::{Hazard, Why};

use super::model::{Entry, OfFurther, State};
use crate::show::page::{Page, Style};

/// Where texts begin.
const COLUMN: usize = 14;

pub(super) fn page(state: &State, page: &mut Page) {
    let mut say = |style: Style, label: &str, text: &str| page.labelled(0, COLUMN, style, label, text);
    let mounted = match state.mounted_at.as_slice() {
        [] => "not mounted".to_owned(),
        places => format!("mounted at {}", places.join(", ")),
    };
    say(Style::Bold, "ESP", &format!("{}, {mounted}, {} MiB free", state.partition, state.free_bytes >> 20));
    if !state.enabled {
        say(Style::Warning, "Projection", "off: esp.conf(5) does not say enabled=yes");
    } else {
        match (&state.problem, state.current) {
            (Some(problem), _) => say(Style::Bad, "Projection", problem),
            (None, Some(true)) => say(Style::Good, "Projection", "the ESP has the deployments of /boot"),
            (None, _) => say(Style::Warning, "Projection", "the ESP is not what /boot is: firstroot esp sync"),
        }
    }
    for OfFurther { partition, current, problem } in &state.further {
        let (style, text) = match (problem, current) {
            (Some(problem), _) => (Style::Bad, problem.as_str()),
            (None, Some(true)) => (Style::Good, "has the deployments that have come up"),
            (None, _) => (Style::Warning, "is not as it is to be: firstroot esp sync"),
        };
        say(style, "Further ESP", &format!("{partition}: {text}"));
    }
    for entry in &state.entries {
        let style = if entry.bad { Style::Bad } else { Style::Plain };
        say(style, "Entry", &format!("{}{}", entry.file, counter(entry)));
        if let Some(deployment) = &entry.deployment {
            say(Style::Plain, "", deployment);
        }
        if let Some(kernel) = entry.kernel.as_ref().filter(|_| entry.image) {
            say(Style::Plain, "", &format!("unified kernel image {kernel}"));
        }
    }
    for other in &state.others {
        say(Style::Plain, "Other", other);
    }
    let loader = state.installed.as_deref().unwrap_or("systemd-boot is not in EFI/systemd");
    say(Style::Bold, "Boot loader", loader);
    if let Some(firmware) = &state.firmware {
        say(Style::Bold, "Firmware", &format!("starts {firmware}"));
    }
    match &state.next {
        Some(next) => {
            let deployment = next.deployment.as_ref().map(|deployment| format!(" {deployment}"));
            let text = format!("{}{}: {}", next.entry, deployment.unwrap_or_default(), next.why);
            say(Style::Bold, "Next boot", &text);
        }
        None => say(Style::Bad, "Next boot", "the boot loader has no entry"),
    }
    for warning in &state.warnings {
        say(Style::Warning, "Warning", warning);
    }
}

fn counter(entry: &Entry) -> String {
    match (entry.tries_left, entry.tries_done) {
        (Some(0), Some(done)) => format!(", bad: tried {done} times"),
        (Some(left), Some(done)) => format!(", {left} tries left, {done} done"),
        _ => String::new(),
    }
}

/// What is wrong with a setting, and what to type.
pub(super) fn hazard(hazard: &Hazard, token: &str) -> String {
    let why = hazard.why();
    let what = match hazard {
        Hazard::UpdateIsNotBooted(_) => "the next update is not booted by itself",
        Hazard::BadIsBooted(_) => "a deployment that does not come up is booted again and again, without a rollback",
        Hazard::AnotherBoots(_) => "what boots by itself is none of this system's entries",
    };
    let conf = format!("in loader/loader.conf on the ESP write: default {token}-*");
    let remedy = match why {
        Why::DefaultVariable(_) => "bootctl set-default ''".to_owned(),
        Why::PreferredVariable(_) => "bootctl set-preferred ''".to_owned(),
        Why::Saved(_) => format!("bootctl set-default '', and {conf}"),
        Why::Preferred(_) => format!("remove that line, and {conf}"),
        Why::OneShot(_) | Why::Default(_) | Why::First => conf,
    };
    format!("{what}: {why}; {remedy}")
}

#[cfg(test)]
mod tests {
    use super::super::model::Next;
    use super::*;
    use crate::show::terminal::PLAIN;

    fn state() -> State {
        let hazard = Hazard::BadIsBooted(Why::DefaultVariable("ostree-07070707-000002-x.0.conf".to_owned()));
        State {
            enabled: true,
            partition: "/dev/vda1".to_owned(),
            free_bytes: 123 << 20,
            deployments: vec!["/ostree/deploy/os/deploy/b.0".to_owned()],
            entries: vec![Entry {
                file: "ostree-07070707-000002-x.0+0-3.conf".to_owned(),
                deployment: Some("/ostree/deploy/os/deploy/b.0".to_owned()),
                kernel: Some("/ostree/os-b/uki-6.1-5e1f1e7a4b0c.efi".to_owned()),
                image: true,
                tries_left: Some(0),
                tries_done: Some(3),
                bad: true,
            }],
            others: vec!["loader/entries/arch.conf".to_owned()],
            current: Some(true),
            further: vec![
                OfFurther { partition: "/dev/vdb1".to_owned(), current: Some(false), problem: None },
                OfFurther {
                    partition: "LABEL=ESP3".to_owned(),
                    current: None,
                    problem: Some("it is not there".to_owned()),
                },
            ],
            boot_loader: Some("systemd-boot 262".to_owned()),
            installed: Some("systemd-boot 262".to_owned()),
            secure_boot: Some(false),
            firmware: Some("Boot0001 (debian)".to_owned()),
            next: Some(Next {
                entry: "arch.conf".to_owned(),
                deployment: None,
                why: "it is the first entry of the menu".to_owned(),
            }),
            warnings: vec![super::hazard(&hazard, "ostree-07070707")],
            ..State::default()
        }
    }

    #[test]
    fn what_is_printed_is_as_the_schema_says() {
        for state in [state(), State::default()] {
            json_schemas::require("firstroot-esp-status", &serde_json::to_value(&state).unwrap()).unwrap();
        }
    }

    #[test]
    fn the_page_says_what_boots_and_what_to_type() {
        let mut shown = Page::default();
        page(&state(), &mut shown);
        let expected = "\
ESP           /dev/vda1, not mounted, 123 MiB free
Projection    the ESP has the deployments of /boot
Further ESP   /dev/vdb1: is not as it is to be: firstroot esp sync
Further ESP   LABEL=ESP3: it is not there
Entry         ostree-07070707-000002-x.0+0-3.conf, bad: tried 3 times
              /ostree/deploy/os/deploy/b.0
              unified kernel image /ostree/os-b/uki-6.1-5e1f1e7a4b0c.efi
Other         loader/entries/arch.conf
Boot loader   systemd-boot 262
Firmware      starts Boot0001 (debian)
Next boot     arch.conf: it is the first entry of the menu
Warning       a deployment that does not come up is booted again and again, without a rollback: the EFI variable \
LoaderEntryDefault is ostree-07070707-000002-x.0.conf; bootctl set-default ''
";
        assert_eq!(shown.render(PLAIN), expected);
    }
}
