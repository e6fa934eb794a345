//! Moving in the table of machines: a row is a machine, a column is a field of it.
use super::{Around, moved};
use crate::plan::form::node_fields;
use crate::tui::keymap::Action;
use crate::tui::model::form::{FormModel, FormPane};

/// True when it was for the table.
pub fn takes(form: &mut FormModel, action: Action, around: &Around<'_>) -> bool {
    form.pane == FormPane::Fields && around.drawn.table && moved_to(form, action, around.drawn.page)
}

/// True when the action moved the cursor, or kept it at a border of the table; a page has so many rows.
pub fn moved_to(form: &mut FormModel, action: Action, page: usize) -> bool {
    let columns = node_fields().len().max(1);
    let (row, column) = (form.row / columns, form.row % columns);
    let last = form.plan.nodes.len().saturating_sub(1);
    if action == Action::Left && column > 0 {
        form.row -= 1;
    } else if action == Action::Right {
        form.row += usize::from(column + 1 < columns);
    } else if let Some(to) = moved(action, row, last, page) {
        form.row = to * columns + column;
    } else {
        return false;
    }
    true
}
