//! A list of any length, page by page: what a page held is gone before the next one comes, but for what the caller keeps.
use super::error::Error;
use super::kind::Kind;
use super::limit::ANSWER;
use super::reader::{Page, Reader, parse_within};
use super::wire::{Ask, with_query};
use crate::base::values::Budget;
use serde::de::DeserializeOwned;
use std::time::{Duration, Instant};

/// Objects asked for at once.
const PAGE: usize = 125;
/// The limit in memory for the values of one page, in bytes.
const MEMORY: usize = 48 << 20;
/// A page that can't be read and is shorter than this would be no better with fewer objects in it, in bytes.
const SHORT: usize = 256 << 10;

/// How far a list is read. A server whose pages never end is asked no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Objects in all.
    pub objects: usize,
    /// Answers in all.
    pub pages: usize,
    /// Bytes of all answers.
    pub bytes: usize,
    /// Wall time.
    pub time: Duration,
}

impl Default for Bounds {
    /// Five times the objects of the largest cluster that the product is made for.
    fn default() -> Self {
        Bounds { objects: 50_000, pages: 500, bytes: 512 << 20, time: Duration::from_secs(300) }
    }
}

/// The bound at which a list was left unfinished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// So many objects were read.
    Objects(usize),
    /// So many pages were read.
    Pages(usize),
    /// So many bytes were read.
    Bytes(usize),
    /// So much time was over.
    Time(Duration),
}

/// The objects that were kept of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walked<R> {
    /// In the server's order.
    pub items: Vec<R>,
    /// Objects that were read, kept or not.
    pub objects: usize,
    /// The bound at which reading ended before the list did.
    pub cut: Option<Cut>,
}

impl Reader {
    /// Reads all objects of a kind, of all namespaces, and keeps what `keep` makes of each. An answer that is too long is
    /// asked for again in halves. A `continue` token that became too old starts the list over, once.
    ///
    /// # Errors
    /// See [`Error`]; [`Error::NotFound`] while the kind's definition is not installed.
    pub async fn walk<T: DeserializeOwned, R>(
        &self,
        kind: &Kind,
        field: Option<&str>,
        bounds: &Bounds,
        mut keep: impl FnMut(T) -> Option<R>,
    ) -> Result<Walked<R>, Error> {
        let _place = self.wire.place_for_a_list().await;
        match self.walk_once(kind, field, bounds, &mut keep).await {
            Err(Error::Gone) => self.walk_once(kind, field, bounds, &mut keep).await,
            done => done,
        }
    }

    async fn walk_once<T: DeserializeOwned, R>(
        &self,
        kind: &Kind,
        field: Option<&str>,
        bounds: &Bounds,
        keep: &mut impl FnMut(T) -> Option<R>,
    ) -> Result<Walked<R>, Error> {
        let began = Instant::now();
        let mut walked = Walked { items: Vec::new(), objects: 0, cut: None };
        let (mut next, mut limit, mut bytes) = (String::new(), PAGE, 0);
        for _ in 0..bounds.pages {
            let text = limit.to_string();
            let query = [("fieldSelector", field.unwrap_or_default()), ("limit", &text), ("continue", &next)];
            let ask = Ask::get(with_query(&kind.path(None), &query));
            let asked = ask.describe();
            let Some(page) = self.page::<T>(ask, &asked, limit, &mut bytes).await? else {
                limit /= 2;
                continue;
            };
            for item in page.items.unwrap_or_default() {
                walked.objects += 1;
                walked.items.extend(keep(item));
            }
            match page.metadata.next {
                // The same token again would never end.
                Some(token) if !token.is_empty() && token != next => next = token,
                _ => return Ok(walked),
            }
            walked.cut = if walked.objects >= bounds.objects {
                Some(Cut::Objects(walked.objects))
            } else if bytes >= bounds.bytes {
                Some(Cut::Bytes(bytes))
            } else if began.elapsed() >= bounds.time {
                Some(Cut::Time(bounds.time))
            } else {
                None
            };
            if walked.cut.is_some() {
                return Ok(walked);
            }
        }
        walked.cut = Some(Cut::Pages(bounds.pages));
        Ok(walked)
    }

    /// `None` when the page is too much for one answer and fewer objects may fit.
    async fn page<T: DeserializeOwned>(
        &self,
        ask: Ask,
        asked: &str,
        limit: usize,
        bytes: &mut usize,
    ) -> Result<Option<Page<T>>, Error> {
        let Some(body) = self.wire.text_that_fits(ask).await? else {
            let what = format!("{asked}: one object is longer than {} MiB, which none of the API is", ANSWER >> 20);
            return if limit > 1 { Ok(None) } else { Err(Error::Answer { text: what }) };
        };
        *bytes += body.len();
        match parse_within(asked, &body, &Budget::new(MEMORY)) {
            Err(_) if limit > 1 && body.len() > SHORT => Ok(None),
            read => read.map(Some),
        }
    }
}
