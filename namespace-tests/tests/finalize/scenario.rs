//! One comparison: a story, and in what ours is meant to differ from the peer at its end.

use namespace_tests::finalize::{Found, Story};
use qemu_tests::guest::Guest;

/// A way in which ours is meant to differ, with a name that `docs/differences.md` has too.
#[derive(Debug)]
pub(crate) struct Difference {
    /// The name there.
    pub(crate) name: &'static str,
    /// Whether this is what was found. It accepts this difference and nothing else.
    pub(crate) accepts: fn(&Found) -> bool,
    /// With which guests' peers.
    pub(crate) with: &'static [Guest],
}

/// A story and what is expected at its end.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    /// What happened before.
    pub(crate) story: Story,
    /// The guests whose `ostree` knows what the story uses.
    pub(crate) guests: Vec<Guest>,
    /// Variables in both programs' environment.
    pub(crate) environment: Vec<String>,
    /// What the peer ends with, as a shell tells it.
    pub(crate) status: i32,
    /// Modified, removed and added files of `/etc`, by the peer's count: that the story is about something.
    pub(crate) etc: Option<[u32; 3]>,
    /// Differences that this story leads to: each has to be found.
    pub(crate) differences: Vec<&'static Difference>,
    /// The name of the story of every run that is nearest to this one, which then runs with `--all` only; and with which guests it does.
    pub(crate) nearest: Option<(&'static str, &'static [Guest])>,
    /// Ours does not finalize this, whatever the peer does: it says why, and the disk stays as it was but for this.
    pub(crate) refused: Option<&'static Difference>,
}

impl Scenario {
    /// A story in which an update is finalized.
    pub(crate) fn of(story: Story) -> Scenario {
        let guests = Guest::booted().to_vec();
        Scenario {
            story,
            guests,
            environment: Vec::new(),
            status: 0,
            etc: None,
            differences: Vec::new(),
            nearest: None,
            refused: None,
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.story.name
    }

    pub(crate) fn only_with(mut self, guest: Guest) -> Scenario {
        self.guests = vec![guest];
        self
    }

    /// With these guests only with `--all`: `story` is the nearest one of every run.
    pub(crate) fn not_each_time(mut self, guests: &'static [Guest], story: &'static str) -> Scenario {
        self.nearest = Some((story, guests));
        self
    }

    /// The nearest story of every run, where this one does not run with `guest` each time.
    pub(crate) fn not_each_time_with(&self, guest: Guest) -> Option<&'static str> {
        self.nearest.filter(|(_, guests)| guests.contains(&guest)).map(|(story, _)| story)
    }

    pub(crate) fn environment(mut self, variable: &str) -> Scenario {
        self.environment.push(variable.to_owned());
        self
    }

    pub(crate) fn fails(mut self) -> Scenario {
        self.status = 1;
        self
    }

    pub(crate) fn crashes(mut self) -> Scenario {
        // SIGSEGV.
        self.status = 128 + 11;
        self
    }

    pub(crate) fn etc(mut self, modified: u32, removed: u32, added: u32) -> Scenario {
        self.etc = Some([modified, removed, added]);
        self
    }

    pub(crate) fn refused(mut self, difference: &'static Difference) -> Scenario {
        self.refused = Some(difference);
        self
    }

    pub(crate) fn differs(mut self, difference: &'static Difference) -> Scenario {
        self.differences.push(difference);
        self
    }
}
