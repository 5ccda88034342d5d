//! Text and dates as the page shows them.

use crate::format::list::Hash;
use crate::format::shown::{hex, shown_text};
use maud::{Markup, html};

/// Text from outside, on its own: it does not turn what stands beside it.
pub fn shown(text: &str) -> Markup {
    html! { bdi { (shown_text(text)) } }
}

/// A point in time as people write it; what is none is shown as it is.
pub fn date(time: &str) -> Markup {
    match time.parse::<jiff::Timestamp>() {
        Ok(at) => html! {
            time datetime=(at.to_string()) { (at.strftime("%Y-%m-%d %H:%M").to_string()) " UTC" }
        },
        Err(_) if time.is_empty() => html! { "unknown" },
        Err(_) => shown(time),
    }
}

/// A root in groups that an eye can follow.
pub fn root(root: &Hash) -> Markup {
    let digits = hex(root);
    let groups: Vec<&str> = (0..digits.len()).step_by(8).map(|at| &digits[at..at + 8]).collect();
    html! { code.root { @for group in groups { span { (group) } wbr; } } }
}

/// `full` of `total` in whole percent: 100 only of what is full, and 0 only of what is empty.
pub fn percent(full: u64, total: u64) -> u64 {
    match u128::from(full) * 100 / u128::from(total.max(1)) {
        0 if full > 0 => 1,
        percent => percent.min(100) as u64,
    }
}
