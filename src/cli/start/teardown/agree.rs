//! A person says by its name what is to be removed.
use crate::base::text;
use std::io::{BufRead, IsTerminal, Write};

/// `whose` is what the name is of: a run, or a machine.
///
/// # Errors
/// With a sentence when nobody agrees.
pub fn agree(name: &str, whose: &str, confirmed: Option<&str>) -> Result<(), String> {
    let typed = match confirmed {
        Some(typed) => typed.to_string(),
        None if std::io::stdin().is_terminal() => {
            let mut out = std::io::stdout();
            // A closed terminal answers with nothing below.
            let _ = write!(out, "\nThis can't be taken back. Type the {whose}'s name to remove it: ")
                .and_then(|()| out.flush());
            let mut line = String::new();
            let _ = std::io::stdin().lock().read_line(&mut line);
            line.trim().to_string()
        }
        None => return Err(format!("nobody is here to agree\nnext: say it beforehand with --confirm {name}")),
    };
    match typed == name {
        true => Ok(()),
        false => Err(format!("`{}` is not {name}: nothing was removed", text::shorten(&text::clean(&typed), 80))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_runs_own_name_agrees() {
        assert!(agree("cozy-new", "run", Some("cozy-new")).is_ok());
        let refused = agree("cozy-new", "run", Some("cozy\u{1b}[31m")).unwrap_err();
        assert!(refused.contains("nothing was removed") && !refused.contains('\u{1b}'), "{refused}");
    }
}
