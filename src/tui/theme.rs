//! The style of each meaning: 16 colours or none, Unicode or ASCII. Colour never carries a meaning alone; mark and word
//! do.
use crate::base::text;
use crate::engine::standing::Standing;
use crate::tui::panes::Grade;
use ratatui::style::{Color, Modifier, Style};
use ratatui::symbols::border;
use std::env;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Theme {
    colour: bool,
    unicode: bool,
}

/// Signs of one column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sign {
    Cursor,
    Folded,
    Open,
    BarDone,
    BarLeft,
    More,
    Error,
    Warning,
    Note,
}

const ASCII_BORDER: border::Set<'static> = border::Set {
    top_left: ".",
    top_right: ".",
    bottom_left: "'",
    bottom_right: "'",
    vertical_left: "|",
    vertical_right: "|",
    horizontal_top: "-",
    horizontal_bottom: "-",
};

impl Theme {
    pub const fn new(colour: bool, unicode: bool) -> Self {
        Theme { colour, unicode }
    }

    /// `NO_COLOR` (any value but the empty one) and `TERM=dumb` switch colours off; a locale that is not UTF-8 brings
    /// ASCII marks.
    pub fn of_environment() -> Self {
        let set = |name: &str| env::var_os(name).is_some_and(|v| !v.is_empty());
        let term = env::var("TERM").unwrap_or_default();
        // The first of the three that is set decides, as in setlocale(3).
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|n| env::var(n).ok().filter(|v| !v.is_empty()));
        Theme::of(set("NO_COLOR"), &term, &locale.unwrap_or_default())
    }

    fn of(no_color: bool, term: &str, locale: &str) -> Self {
        let locale = locale.to_lowercase();
        let unicode = locale.contains("utf-8") || locale.contains("utf8");
        Theme { colour: !no_color && term != "dumb", unicode: unicode && term != "dumb" }
    }

    fn tint(self, colour: Color, modifier: Modifier) -> Style {
        let style = Style::new().add_modifier(modifier);
        if self.colour { style.fg(colour) } else { style }
    }

    pub fn plain(self) -> Style {
        Style::new()
    }

    pub fn quiet(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    pub fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    pub fn title(self) -> Style {
        self.tint(Color::Cyan, Modifier::BOLD)
    }

    pub fn key(self) -> Style {
        self.tint(Color::Cyan, Modifier::BOLD)
    }

    pub fn selected(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    pub fn proven(self) -> Style {
        self.tint(Color::Green, Modifier::empty())
    }

    pub fn working(self) -> Style {
        self.tint(Color::Cyan, Modifier::empty())
    }

    pub fn retrying(self) -> Style {
        self.tint(Color::Magenta, Modifier::empty())
    }

    pub fn late(self) -> Style {
        self.asks()
    }

    pub fn blocked(self) -> Style {
        self.tint(Color::Red, Modifier::BOLD)
    }

    pub fn drifted(self) -> Style {
        self.tint(Color::Magenta, Modifier::BOLD)
    }

    /// Something asks for a person: a gate, a question.
    pub fn asks(self) -> Style {
        let style = Style::new().add_modifier(Modifier::BOLD);
        // Yellow letters can't be read on white; on yellow, black can be read everywhere.
        if self.colour { style.fg(Color::Black).bg(Color::Yellow) } else { style }
    }

    /// The edge of a question.
    pub fn edge(self) -> Style {
        self.tint(Color::Cyan, Modifier::BOLD)
    }

    pub fn error(self) -> Style {
        self.tint(Color::Red, Modifier::empty())
    }

    pub fn warning(self) -> Style {
        self.tint(Color::Magenta, Modifier::empty())
    }

    pub fn standing(self, standing: Standing) -> Style {
        match standing {
            Standing::Pending | Standing::Ready | Standing::Queued | Standing::Halted => self.quiet(),
            Standing::Gate => self.asks(),
            Standing::Confirms | Standing::Acts | Standing::Waits => self.working(),
            Standing::Retries => self.retrying(),
            Standing::Late => self.late(),
            Standing::Blocked => self.blocked(),
            Standing::Drifted => self.drifted(),
            Standing::Proven => self.proven(),
        }
    }

    pub fn mark(self, standing: Standing) -> &'static str {
        let (unicode, ascii) = match standing {
            Standing::Pending => ("·", "."),
            Standing::Ready => ("○", "o"),
            Standing::Queued => ("≡", "="),
            Standing::Gate => ("?", "?"),
            Standing::Confirms => ("◌", "c"),
            Standing::Acts => ("▸", ">"),
            Standing::Waits => ("◔", "~"),
            Standing::Retries => ("↻", "r"),
            Standing::Late => ("!", "!"),
            Standing::Blocked => ("✗", "X"),
            Standing::Drifted => ("≠", "#"),
            Standing::Halted => ("■", "_"),
            Standing::Proven => ("✓", "+"),
        };
        if self.unicode { unicode } else { ascii }
    }

    pub fn grade(self, grade: Grade) -> Style {
        self.standing(Theme::like(grade))
    }

    pub fn grade_mark(self, grade: Grade) -> &'static str {
        self.mark(Theme::like(grade))
    }

    /// The standing whose mark and colour a line of the site has.
    fn like(grade: Grade) -> Standing {
        match grade {
            Grade::Quiet => Standing::Pending,
            Grade::Good => Standing::Proven,
            Grade::Moves => Standing::Waits,
            Grade::Warn => Standing::Late,
            Grade::Bad => Standing::Blocked,
        }
    }

    pub fn sign(self, sign: Sign) -> &'static str {
        let (unicode, ascii) = match sign {
            Sign::Cursor => ("›", ">"),
            Sign::Folded => ("▸", "*"),
            Sign::Open => ("▾", "-"),
            Sign::BarDone => ("█", "#"),
            Sign::BarLeft => ("░", "."),
            Sign::More => ("…", "~"),
            Sign::Error => ("✗", "X"),
            Sign::Warning => ("!", "!"),
            Sign::Note => ("·", "."),
        };
        if self.unicode { unicode } else { ascii }
    }

    pub fn border(self) -> border::Set<'static> {
        if self.unicode { border::PLAIN } else { ASCII_BORDER }
    }

    /// One line that is safe to draw: no control characters, and `?` for what the terminal's locale can't show.
    pub fn safe(self, raw: &str) -> String {
        let clean = text::clean(raw);
        if self.unicode || clean.is_ascii() {
            return clean;
        }
        clean
            .chars()
            .map(|c| match c {
                '…' => '~',
                '–' | '—' => '-',
                c if c.is_ascii() => c,
                _ => '?',
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_decides_on_colour_and_marks() {
        assert_eq!(Theme::of(false, "xterm-256color", "en_US.UTF-8"), Theme::new(true, true));
        assert_eq!(Theme::of(true, "xterm", "C.utf8"), Theme::new(false, true));
        assert_eq!(Theme::of(false, "dumb", "C.UTF-8"), Theme::new(false, false));
        assert_eq!(Theme::of(false, "linux", "C"), Theme::new(true, false));
    }

    #[test]
    fn no_two_standings_share_a_mark() {
        for theme in [Theme::new(true, true), Theme::new(false, false)] {
            let marks: std::collections::BTreeSet<_> = Standing::ALL.iter().map(|s| theme.mark(*s)).collect();
            assert_eq!(marks.len(), Standing::ALL.len());
        }
    }

    #[test]
    fn an_ascii_terminal_gets_ascii_only() {
        assert_eq!(Theme::new(false, false).safe("41 of 78 MiB… ✓ \x1b[2J"), "41 of 78 MiB~ ? [2J");
    }
}
