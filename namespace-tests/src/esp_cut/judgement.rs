//! Whether a state is what a power cut may leave.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use ostree_formats::projected_entry::ProjectedName;

use super::fat::Fat;
use super::menu::{Known, Menu};
use super::recording::{Recording, Run};
use super::state::{SECTOR, State};
use crate::power_cut::{Numbers, SEED};

/// How many complaints are kept.
const KEPT: usize = 12;

/// What boots: the entry's name and its text.
type Choice = Option<(String, Vec<u8>)>;

/// Knows what each run must lead from and to.
#[derive(Debug)]
pub struct Judge<'a> {
    recording: &'a Recording,
    known: Known,
    /// What boots after so many operations, if all of them have reached the disk.
    choices: BTreeMap<usize, Choice>,
}

/// A disk that a power cut has left.
#[derive(Debug)]
pub struct Left {
    /// Which run it was in, from 0.
    pub run: usize,
    /// After how many operations.
    pub after: usize,
    /// Where it is.
    pub image: PathBuf,
}

/// States, and what was wrong with them.
#[derive(Debug, Default)]
pub struct Figures {
    /// How many were looked at.
    pub states: usize,
    /// What boots is not whole, or is neither the old nor the new default.
    pub without_default: usize,
    /// Another entry, a payload that counts as complete, or a file of others is not whole.
    pub not_whole: usize,
    /// The program has returned, and what boots is the old default.
    pub too_late: usize,
    /// The first ones.
    pub complaints: Vec<String>,
}

impl Figures {
    /// How many states are bad.
    pub fn bad(&self) -> usize {
        self.without_default + self.not_whole + self.too_late
    }
}

impl<'a> Judge<'a> {
    /// Learns what there is before and after each run.
    pub fn of(recording: &'a Recording, files: BTreeMap<String, Vec<u8>>) -> Result<Judge<'a>> {
        let mut known = Known { files, ..Known::default() };
        let (mut choices, mut texts) = (BTreeMap::new(), Vec::new());
        recording.states(0, |after, state| {
            if !recording.runs.iter().any(|run| [run.begin, run.until].contains(&after)) {
                return Ok(true);
            }
            let menu = Menu::of(&Fat::of(state)?, &known)?;
            choices.insert(after, choice(&menu));
            texts.extend(menu.entries.into_iter().filter_map(|entry| entry.text));
            Ok(true)
        })?;
        known.texts.extend(texts);
        Ok(Judge { recording, known, choices })
    }

    /// The deployments, by their first digits, that boot before and after each run.
    pub fn story(&self) -> Result<Vec<(&str, String, String)>> {
        let digit = |after: usize| {
            let choice = self.choices.get(&after).with_context(|| format!("no state after {after} operations"))?;
            Ok::<String, anyhow::Error>(digit(choice))
        };
        let of = |run: &'a Run| Ok((run.name.as_str(), digit(run.begin)?, digit(run.until)?));
        self.recording.runs.iter().map(of).collect()
    }

    /// Looks at every state, and `subsets` random ones more for each; or only until one is bad.
    pub fn judge(&self, subsets: usize, until_one_is_bad: bool) -> Result<Figures> {
        let mut figures = Figures::default();
        self.recording.states(subsets, |after, state| {
            figures.states += 1;
            let run =
                self.recording.runs.iter().rev().find(|run| run.begin <= after).context("before the first run")?;
            let complaint = self.complaint(run, after, state, &mut figures)?;
            if let Some(complaint) = complaint
                && figures.complaints.len() < KEPT
            {
                figures.complaints.push(format!("{}, operation {after}: {complaint}", run.name));
            }
            Ok(!until_one_is_bad || figures.bad() == 0)
        })?;
        Ok(figures)
    }

    /// Writes `count` of the states to `directory` in which a chain of what was being written, or removed, is not whole: the next run
    /// finds it so.
    pub fn damaged(&self, subsets: usize, count: usize, directory: &Path) -> Result<Vec<Left>> {
        let mut damaged = Vec::new();
        let mut number = 0;
        self.recording.states(subsets, |_, state| {
            let fat = Fat::of(state)?;
            for path in ["loader", "ostree"] {
                if let Some(found) = fat.find(path)?
                    && !fat.damage_below(&found, |_| true)?.is_empty()
                {
                    damaged.push(number);
                    break;
                }
            }
            number += 1;
            Ok(true)
        })?;
        ensure!(damaged.len() >= count, "only {} of {number} states are damaged", damaged.len());
        let wanted: Vec<usize> = shuffled_numbers(damaged).into_iter().take(count).collect();
        let (mut left, mut number) = (Vec::new(), 0);
        self.recording.states(subsets, |after, state| {
            if wanted.contains(&number) {
                let run =
                    self.recording.runs.iter().rposition(|run| run.begin <= after).context("before the first run")?;
                let image = directory.join(format!("left-{number}.img"));
                state.write(&image)?;
                left.push(Left { run, after, image });
            }
            number += 1;
            Ok(true)
        })?;
        Ok(left)
    }

    /// What is wrong with a disk after the next run: `deployment`, by its first digit, must boot, and all that is there be whole.
    pub fn after_the_next_run(&self, image: &Path, deployment: &str) -> Result<()> {
        let bytes = std::fs::read(image).with_context(|| format!("reading {}", image.display()))?;
        let state = State { durable: &bytes, arrived: HashMap::new() };
        let fat = Fat::of(&state)?;
        let menu = Menu::of(&fat, &Known { files: self.known.files.clone(), ..Known::default() })?;
        let problems: Vec<String> = broken(&menu).chain(menu.problems.iter().cloned()).collect();
        ensure!(problems.is_empty(), "{problems:?}");
        let found = digit(&choice(&menu));
        ensure!(found == deployment, "{found} boots, not {deployment}");
        for path in ["loader", "ostree"] {
            let found = fat.find(path)?.with_context(|| format!("{path} is not there"))?;
            // A directory that was not cleared cannot be removed. Nothing looks into it.
            let damage = fat.damage_below(&found, |entry| !(entry.is_directory && entry.name.ends_with(".tmp")))?;
            ensure!(damage.is_empty(), "{path}: {damage:?}");
        }
        Ok(())
    }

    fn complaint(&self, run: &Run, after: usize, state: &State<'_>, figures: &mut Figures) -> Result<Option<String>> {
        let menu = match Fat::of(state).and_then(|fat| Menu::of(&fat, &self.known)) {
            Ok(menu) => menu,
            Err(error) => {
                figures.without_default += 1;
                return Ok(Some(format!("the FAT cannot be read: {error:#}")));
            }
        };
        let [old, new] = [run.begin, run.until].map(|after| self.choices.get(&after));
        let (old, new) = (old.context("the state before")?, new.context("the state after")?);
        let found = choice(&menu);
        let shown = |choice: &Choice| choice.as_ref().map_or("nothing", |(name, _)| name).to_owned();
        if let Some(problem) = menu.chosen().and_then(|entry| entry.problem.as_deref()) {
            figures.without_default += 1;
            return Ok(Some(format!("{} boots, and is not whole: {problem}", shown(&found))));
        }
        if found != *old && found != *new {
            figures.without_default += 1;
            let broken: Vec<String> = broken(&menu).collect();
            let text = format!("{} boots, not {} or {}; {broken:?}", shown(&found), shown(old), shown(new));
            return Ok(Some(text));
        }
        if let Some(problem) = broken(&menu).chain(menu.problems.iter().cloned()).next() {
            figures.not_whole += 1;
            return Ok(Some(problem));
        }
        if after >= run.end && found != *new {
            figures.too_late += 1;
            return Ok(Some(format!("the run has returned, and {} boots, not {}", shown(&found), shown(new))));
        }
        Ok(None)
    }
}

/// A disk as a boot loader finds it.
#[derive(Debug)]
pub struct Seen {
    /// The deployment that boots, by its first digit; `-`: none.
    pub boots: String,
    /// What is not whole.
    pub problems: Vec<String>,
    /// The last mark.
    pub told: String,
    /// These files, which are none of firstroot's.
    pub others: Vec<Option<Vec<u8>>>,
}

/// Looks at a disk. `files` are those of payloads.
///
/// # Errors
/// The disk cannot be read.
pub fn look_at(image: &Path, files: BTreeMap<String, Vec<u8>>, others: &[&str]) -> Result<Seen> {
    let bytes = std::fs::read(image).with_context(|| format!("reading {}", image.display()))?;
    let state = State { durable: &bytes, arrived: HashMap::new() };
    let fat = Fat::of(&state)?;
    let menu = Menu::of(&fat, &Known { files, ..Known::default() })?;
    let (_, mark) = bytes.split_at(bytes.len() - SECTOR);
    let read = |path: &&str| fat.find(path).ok().flatten().and_then(|entry| fat.read(&entry).ok());
    Ok(Seen {
        boots: digit(&choice(&menu)),
        problems: broken(&menu).chain(menu.problems.iter().cloned()).collect(),
        told: String::from_utf8_lossy(mark).trim_end_matches('\0').to_owned(),
        others: others.iter().map(read).collect(),
    })
}

fn shuffled_numbers(mut all: Vec<usize>) -> Vec<usize> {
    let mut numbers = Numbers::from(SEED);
    all.sort_by_cached_key(|_| numbers.next());
    all
}

/// The first digit of the deployment; `-`: nothing boots.
fn digit(choice: &Choice) -> String {
    let of = |(name, _): &(String, Vec<u8>)| {
        let name: ProjectedName = name.parse().ok()?;
        name.commit.get(..1).map(str::to_owned)
    };
    choice.as_ref().and_then(of).unwrap_or_else(|| "-".to_owned())
}

fn choice(menu: &Menu) -> Choice {
    let entry = menu.chosen()?;
    Some((entry.name.to_string(), entry.text.clone()?))
}

/// Entries of the menu that do not boot.
fn broken(menu: &Menu) -> impl Iterator<Item = String> {
    menu.entries.iter().filter_map(|entry| Some(format!("{}: {}", entry.name, entry.problem.as_ref()?)))
}
