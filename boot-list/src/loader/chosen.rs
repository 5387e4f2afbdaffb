//! The implementation for a plan.

use std::time::Duration;

use super::BootLoader;
use super::grub::Grub;
use super::links::Links;
use crate::plan::BootPlan;

/// What writes and swaps the list of `plan`. `limit`: how long a program may take that writes a menu.
pub fn of(plan: &BootPlan, limit: Duration) -> Box<dyn BootLoader> {
    match &plan.grub {
        Some(grub) => Box::new(Grub::new(grub.clone(), limit)),
        None => Box::new(Links),
    }
}
