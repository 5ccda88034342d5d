//! A clock that shows nothing: indicatif's ticker without its bar.

use indicatif::style::ProgressTracker;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Ticks until it is dropped; no tick is under way then.
pub(in crate::cli) struct Clock(ProgressBar);

impl Clock {
    /// Calls `tick` again and again, from a thread of its own.
    pub(in crate::cli) fn start(every: Duration, tick: impl Fn() + Send + Sync + 'static) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        bar.set_style(ProgressStyle::default_bar().with_key("clock", Tick(Arc::new(tick))));
        bar.enable_steady_tick(every);
        Self(bar)
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        self.0.disable_steady_tick();
    }
}

#[derive(Clone)]
struct Tick(Arc<dyn Fn() + Send + Sync>);

impl ProgressTracker for Tick {
    fn clone_box(&self) -> Box<dyn ProgressTracker> {
        Box::new(self.clone())
    }

    fn tick(&mut self, _: &ProgressState, _: Instant) {
        (self.0)();
    }

    fn reset(&mut self, _: &ProgressState, _: Instant) {}

    fn write(&self, _: &ProgressState, _: &mut dyn fmt::Write) {}
}
