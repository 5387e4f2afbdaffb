//! The day of a time.

/// `YYYY-MM-DD` in UTC, of seconds since 1970; `None` after the year 9999.
pub(super) fn day(seconds: u64) -> Option<String> {
    const DAY: u64 = 86_400;
    /// Days of 400 years, after which the calendar repeats itself.
    const CYCLE: u64 = 146_097;
    /// From the first of March of the year 0, so that a leap day is the last day of its year.
    const BEFORE_1970: u64 = 719_468;
    let days = seconds / DAY + BEFORE_1970;
    let (cycle, day) = (days / CYCLE, days % CYCLE);
    // Of the day, without the leap days before it.
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // Months from March: 31, 30, 31, 30, 31 days, and so on.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = cycle * 400 + year + next;
    (year <= 9999).then(|| format!("{year:04}-{month:02}-{day:02}"))
}

#[cfg(test)]
mod tests {
    use super::day;

    #[test]
    fn days_are_those_of_date() {
        let known = [
            (0, "1970-01-01"),
            (951_782_399, "2000-02-28"),
            (951_782_400, "2000-02-29"),
            (951_868_800, "2000-03-01"),
            (1_798_761_599, "2026-12-31"),
            (4_107_542_400, "2100-03-01"),
            (253_402_300_799, "9999-12-31"),
        ];
        for (seconds, expected) in known {
            assert_eq!(day(seconds).as_deref(), Some(expected), "{seconds}");
        }
        assert_eq!(day(253_402_300_800), None);
        assert_eq!(day(u64::MAX), None);
    }
}
