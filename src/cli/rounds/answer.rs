//! What was typed when the cases of new drives were asked for.

use crate::cli::output::out;
use crate::cli::text::some;
use crate::format::label::checked_case;

/// What is meant.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// the case of each drive; none: it is left out
    Cases(Vec<Option<String>>),
    Again,
    Stop,
}

impl Answer {
    /// Says that the question is asked anew, and why.
    pub(super) fn changed() -> Self {
        out("\nThe drives have changed meanwhile.\n");
        Self::Again
    }
}

/// Words that answer a question, and that nobody means for the name of a new case.
const WORDS: [&str; 17] = [
    "y", "yes", "ok", "n", "no", "none", "nope", "stop", "q", "quit", "exit", "end", "abort",
    "cancel", "skip", "help", "?",
];

/// Those that end here.
const STOPS: [&str; 8] = ["n", "no", "stop", "q", "quit", "exit", "abort", "cancel"];

/// Does it say that nothing is to be packed?
pub(super) fn is_stop(text: &str) -> bool {
    STOPS.contains(&text.to_lowercase().as_str())
}

/// Is it an answer rather than a name?
pub(super) fn is_word(text: &str) -> bool {
    WORDS.contains(&text.to_lowercase().as_str())
}

/// What was typed for so many drives; fails with what is wrong with it. A word that answers is a
/// case only if the shipment has a case of that name.
pub(super) fn understand(
    text: &str,
    count: usize,
    proposal: Option<Vec<Option<String>>>,
    known: &[String],
) -> Result<Answer, String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let is_answer = |word: &str| is_word(word) && !known.iter().any(|case| case == word);
    match (&words[..], proposal) {
        ([], _) => Ok(Answer::Again),
        (["stop"], _) => Ok(Answer::Stop),
        ([word], _) if is_stop(word) && is_answer(word) => Ok(Answer::Stop),
        (["y" | "yes"], Some(cases)) => Ok(Answer::Cases(cases)),
        (words, _) if let Some(word) = words.iter().find(|word| is_answer(word)) => Err(format!(
            "Nothing is packed: {word} is not the name of a case here. Name a case for each drive, - leaves one \
             out, stop ends here."
        )),
        (words, _) if words.len() == count => {
            let case = |word: &&str| match *word {
                "-" => Ok(None),
                word if checked_case(word).is_ok() => Ok(Some(word.to_owned())),
                word => Err(format!("{word:?} is not a name for a case.")),
            };
            Ok(Answer::Cases(words.iter().map(case).collect::<Result<_, _>>()?))
        }
        (words, _) => {
            let (cases, drives) = (some(words.len() as u64, "case"), some(count as u64, "drive"));
            Err(format!("{cases} for {drives}: name one for each, or - to leave it out."))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    /// To say no packs onto no drive.
    #[rstest]
    fn a_word_that_answers_names_no_new_case(
        #[values("no", "n", "NO", "y", "yes", "quit", "Stop", "none", "no south")] text: &str,
    ) {
        let known = ["a".into(), "south".into()];
        let count = text.split(' ').count();
        let answer = understand(text, count, None, &known);
        if is_stop(text) {
            assert_eq!(answer, Ok(Answer::Stop));
        } else {
            assert!(
                answer.as_ref().is_err_and(|e| e.starts_with("Nothing is packed")),
                "{answer:?}"
            );
        }
        // A case that has such a name is one, and is asked about.
        let known: Vec<String> = text.split(' ').map(String::from).collect();
        let answer = understand(text, count, None, &known).unwrap();
        assert_eq!(answer, Answer::Cases(known.into_iter().map(Some).collect()));
    }
}
