//! What may not get out, and what may not get in: secrets in anything that is written, shown or listed, and text that a
//! terminal obeys in anything that a person sees.
mod at_rest;
mod echo;
mod meddled;
pub mod search;
mod site;
mod whole_run;
