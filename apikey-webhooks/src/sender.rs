//! Sends one message, and reads of the answer little more than its status.

use std::{error::Error, iter::successors, time::Duration};

use apikey_manager::{WebhookAnswer, WebhookMessage, WebhookSender};
use async_trait::async_trait;
use reqwest::{Client, Response};

use crate::{message, target::Targets};

/// Most bytes that are read of an answer's content.
const MOST_READ: usize = 64 * 1_024;
/// Most characters of a reason.
const LONGEST_REASON: usize = 200;

/// Sends webhooks over HTTPS.
///
/// Clones share the client.
#[derive(Clone, Debug)]
pub struct Webhooks {
    pub(crate) client: Client,
    pub(crate) targets: Targets,
    pub(crate) time_limit: Duration,
}

#[async_trait]
impl WebhookSender for Webhooks {
    fn check(&self, url: &str) -> Result<(), String> {
        self.targets.parse(url).map(drop).map_err(str::to_owned)
    }

    fn patience(&self) -> Duration {
        self.time_limit
    }

    async fn send(&self, message: &WebhookMessage) -> WebhookAnswer {
        match self.post(message).await {
            Ok(status) => WebhookAnswer::status(status),
            Err(reason) => WebhookAnswer::failed(reason),
        }
    }
}

impl Webhooks {
    /// Returns the status of the answer, or why there is none.
    async fn post(&self, message: &WebhookMessage) -> Result<u16, String> {
        // The URL was stored under settings that may have changed.
        let url = self.targets.parse(&message.url).map_err(|reason| format!("the URL {reason}"))?;
        let request = message::request(&self.client, url, message)?;
        let answer = request.send().await.map_err(|error| self.reason(&error))?;
        let status = answer.status().as_u16();
        discard(answer).await;
        Ok(status)
    }

    /// Returns the innermost cause of an error, without the URL.
    fn reason(&self, error: &reqwest::Error) -> String {
        if error.is_timeout() {
            return format!("no answer within {:?}", self.time_limit);
        }
        let error: &(dyn Error + 'static) = error;
        let innermost = successors(Some(error), |&error| error.source()).last().unwrap_or(error);
        innermost.to_string().chars().filter(|c| !c.is_control()).take(LONGEST_REASON).collect()
    }
}

/// Reads the content, so that the receiver can finish it. The status has decided, so what goes wrong here is ignored.
async fn discard(mut answer: Response) {
    let mut left = MOST_READ;
    while let Ok(Some(chunk)) = answer.chunk().await {
        let Some(rest) = left.checked_sub(chunk.len()) else { return };
        left = rest;
    }
}
