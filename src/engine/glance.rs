//! The context of a look that belongs to no session: it has nowhere to write.
use super::failure::Failure;
use super::made::Made;
use super::step::Context;
use super::wait::Wait;
use crate::base::clock::Clock;
use async_trait::async_trait;
use std::sync::Arc;

pub(super) struct Glance {
    pub clock: Clock,
    pub made: Arc<Made>,
    /// What an earlier session kept of the step.
    pub handle: Option<String>,
}

#[async_trait]
impl Context for Glance {
    fn clock(&self) -> &Clock {
        &self.clock
    }

    fn handle(&self) -> Option<String> {
        self.handle.clone()
    }

    fn made(&self) -> &Made {
        &self.made
    }

    async fn keep_handle(&self, _handle: &str) -> Result<(), Failure> {
        Err(Failure::defect("a look must not change anything"))
    }

    fn waiting(&self, _wait: Wait) {}

    fn log(&self, _source: &str, _line: &str) {}

    fn stopping(&self) -> bool {
        false
    }
}
