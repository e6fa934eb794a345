//! `l` and `y`: asks once for the end of a log, or for a thing as its system has it.
use super::Around;
use crate::observed::{Answer, Matter, Question};
use crate::tui::keymap::Action;
use crate::tui::message::Cmd;
use crate::tui::model::asking::{Asked, Asking};
use crate::tui::panes::Table;

/// Asks about the selected line of a pane; gives the line's key with the command, or says why it can't be asked.
pub fn of(
    asking: &mut Asking,
    table: &Table,
    picked: Option<&String>,
    action: Action,
    around: &mut Around<'_>,
) -> Option<(String, Cmd)> {
    let Some(with) = asking.asker.clone() else {
        around.say("this is a record, nothing can be asked");
        return None;
    };
    let matter = if action == Action::Log { Matter::Log } else { Matter::Raw };
    let item = table.items.get(table.at(picked));
    let about = item.and_then(|item| match matter {
        Matter::Log => item.log.clone(),
        Matter::Raw => item.raw.clone(),
    });
    let (Some(item), Some(about)) = (item, about) else {
        around.say(match matter {
            Matter::Log => "this line has no log; those of pods, of what stands for one, of machines and of tasks have",
            Matter::Raw => "this line shows no single thing; those of machines, nodes, releases and pods do",
        });
        return None;
    };
    let question = Question { matter, about };
    asking.number += 1;
    asking.last = Some(Asked { question: question.clone(), since: around.wall, answer: None });
    Some((item.key.clone(), Cmd::Question { with, number: asking.number, question }))
}

/// Where the page of the answer begins: the end of a log is what tells. `None`: nobody waits for it.
pub fn answered(asking: &mut Asking, number: u64, answer: Answer) -> Option<usize> {
    if !asking.take(number, answer) {
        return None;
    }
    let matter = asking.last.as_ref().map(|asked| asked.question.matter);
    Some(if matter == Some(Matter::Log) { usize::MAX } else { 0 })
}
