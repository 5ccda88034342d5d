//! Numbers as people write and read them.
//!
//! - Enters: bytes, durations; sizes as typed.
//! - Leaves: short text; bytes.
//! - Always holds: (1) output is decimal (GB = 10^9 bytes), as drives are sold; (2) input takes
//!   both habits, `2TB` and `2TiB`; (3) what is shown has three significant digits and is rounded
//!   to the nearest, never through a carry to `1000 MB`.

use bytesize::ByteSize;
use std::time::Duration;

pub use crate::monitor::{shown_bytes, shown_count};

/// The bytes that `text` says, in either habit and any letter case; a bare number is bytes.
pub fn parse_size(text: &str) -> Result<u64, String> {
    match text.trim().parse::<ByteSize>() {
        // The crate saturates.
        Ok(ByteSize(u64::MAX)) => Err(format!("{text:?} is more than 18 EB")),
        Ok(ByteSize(bytes)) => Ok(bytes),
        Err(_) => Err(format!("{text:?} is not a size, write for example 500G, 2TB or 2TiB")),
    }
}

/// The two largest units of `duration`: `42 s`, `3 min 20 s`, `2 h 05 min`, `1 d 03 h`.
pub fn shown_duration(duration: Duration) -> String {
    let seconds = duration.as_secs().saturating_add(u64::from(duration.subsec_millis() >= 500));
    let minutes = seconds.saturating_add(30) / 60;
    let hours = seconds.saturating_add(1800) / 3600;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ if minutes < 24 * 60 => format!("{} h {:02} min", minutes / 60, minutes % 60),
        _ => format!("{} d {:02} h", hours / 24, hours % 24),
    }
}

/// The same for what was measured: below ten seconds with a decimal, `2.4 s`.
pub fn shown_time(took: Duration) -> String {
    let seconds = took.as_secs_f64();
    if seconds < 9.95 { format!("{seconds:.1} s") } else { shown_duration(took) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(0, "0 B")]
    #[case(812, "812 B")]
    #[case(999, "999 B")]
    #[case(1000, "1 kB")]
    #[case(262_144, "262 kB")]
    #[case(999_499, "999 kB")]
    #[case(999_500, "1 MB")]
    #[case(9_994_000, "9.99 MB")]
    #[case(9_996_000, "10 MB")]
    #[case(16_777_216, "16.8 MB")]
    #[case(1_500_000_000, "1.5 GB")]
    #[case(1_234_567_890_123, "1.23 TB")]
    #[case(2_000_000_000_000, "2 TB")]
    #[case(u64::MAX, "18.4 EB")]
    fn bytes_are_shown_with_three_digits(#[case] bytes: u64, #[case] shown: &str) {
        assert_eq!(shown_bytes(bytes), shown);
    }

    #[rstest]
    #[case("812", 812)]
    #[case("812B", 812)]
    #[case("2TB", 2_000_000_000_000)]
    #[case("2tb", 2_000_000_000_000)]
    #[case("2TiB", 2_199_023_255_552)]
    #[case("2tib", 2_199_023_255_552)]
    #[case("500G", 500_000_000_000)]
    #[case("500Gi", 536_870_912_000)]
    #[case("1.5 MB", 1_500_000)]
    #[case(" 16 MiB ", 16_777_216)]
    fn both_habits_are_read(#[case] text: &str, #[case] bytes: u64) {
        assert_eq!(parse_size(text), Ok(bytes));
    }

    #[rstest]
    #[case("")]
    #[case("big")]
    #[case("-5GB")]
    #[case("2XB")]
    #[case("1.5")]
    #[case("1,5GB")]
    #[case("99999999EB")]
    fn what_is_no_size_is_named(#[case] text: &str) {
        let error = parse_size(text).unwrap_err();
        assert!(error.starts_with(&format!("{text:?} is ")), "{error}");
    }

    #[test]
    fn the_error_shows_an_example() {
        assert_eq!(
            parse_size("2XB").unwrap_err(),
            "\"2XB\" is not a size, write for example 500G, 2TB or 2TiB"
        );
    }

    #[rstest]
    #[case(0, "0 s")]
    #[case(499, "0 s")]
    #[case(42_000, "42 s")]
    #[case(59_400, "59 s")]
    #[case(59_500, "1 min 00 s")]
    #[case(200_000, "3 min 20 s")]
    #[case(3_599_400, "59 min 59 s")]
    #[case(3_599_500, "1 h 00 min")]
    #[case(7_500_000, "2 h 05 min")]
    #[case(86_369_000, "23 h 59 min")]
    #[case(86_370_000, "1 d 00 h")]
    #[case(97_200_000, "1 d 03 h")]
    fn durations_have_two_units(#[case] milliseconds: u64, #[case] shown: &str) {
        assert_eq!(shown_duration(Duration::from_millis(milliseconds)), shown);
    }

    #[test]
    fn the_longest_duration_does_not_overflow() {
        assert!(shown_duration(Duration::MAX).ends_with(" h"));
    }

    #[test]
    fn counts_are_grouped() {
        assert_eq!(shown_count(1_204_331), "1,204,331");
    }
}
