//! The cluster's state, asked once a second over one link, and over another when that was lost.

use std::path::{Path, PathBuf};
use std::time::Duration;

use cluster_core::Operation;
use cluster_core::operator::{Operator, OperatorError};
use serde_json::Value;
use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, sleep, sleep_until};

/// How often the master is asked, and looked for where it is away.
const LOOK: Duration = Duration::from_secs(1);
/// A master that does not answer within this is away.
const PATIENCE: Duration = Duration::from_secs(3);

/// The master's answer, or why there is none.
pub(super) type Heard = Result<Value, OperatorError>;

/// Links to the master, and asks it for the first time.
pub(super) async fn begin(place: &Path) -> Result<(Operator, Value), OperatorError> {
    let mut operator = Operator::connect(place).await?.answer_within(PATIENCE);
    let state = operator.operate(Operation::Status, |_| {}).await?;
    Ok((operator, state))
}

/// Tells what it hears, until nobody listens any more. The queue holds one: who is slow is asked less.
pub(super) async fn follow(place: PathBuf, mut operator: Operator, tell: Sender<Heard>) {
    let mut next = Instant::now() + LOOK;
    loop {
        sleep_until(next).await;
        next = Instant::now() + LOOK;
        let mut heard = operator.operate(Operation::Status, |_| {}).await;
        while let Err(error) = heard {
            if tell.send(Err(error)).await.is_err() {
                return;
            }
            sleep(LOOK).await;
            heard = begin(&place).await.map(|(other, state)| {
                operator = other;
                state
            });
            next = Instant::now() + LOOK;
        }
        if tell.send(heard).await.is_err() {
            return;
        }
    }
}
