//! Uncached requests, beside a hand-written `SELECT` for each.

use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use apikey_benches::{keys::Order, rounds::median};
use apikey_core::{
    Authenticator, Claims, KeyId, PresentedKey, Resolution, ScopeSet, Timestamp,
    adapter::{Authentication, Header, HeaderLines, RequestView},
    resolver_fn,
};
use apikey_manager::UsageSettings;
use sha2::{Digest, Sha256};

use crate::{
    fill::Filled,
    place::{Place, Plain, format, turn},
};

/// Creates a request with a key.
pub(crate) struct Request<'r>(pub(crate) &'r str);

impl RequestView for Request<'_> {
    fn lines(&self, header: Header) -> HeaderLines<'_> {
        match header {
            Header::Authorization => HeaderLines::One(self.0.as_bytes()),
            Header::Extra(_) => HeaderLines::Absent,
        }
    }
}

#[derive(Clone)]
enum Contender {
    /// A cache TTL of zero: every request is looked up, and none shares another's lookup.
    Ours(Authenticator),
    Plain(Plain),
}

impl Contender {
    async fn verify(&self, request: &str) {
        match self {
            Contender::Ours(authenticator) => {
                let decision = match authenticator.authenticate(&Request(request)) {
                    Authentication::Done(decision) => decision,
                    Authentication::Loading(loading) => loading.await,
                };
                black_box(decision.expect("a key that is let in"));
            }
            Contender::Plain(plain) => {
                let token = request.strip_prefix("Bearer ").expect("a scheme");
                let key = plain.find(&Sha256::digest(token)).await.expect("a key that is known");
                let now = Timestamp::now().as_millis();
                assert!(key.revoked_at.is_none() && key.expires_at.is_none_or(|expires_at| now < expires_at));
                black_box(key.scopes);
            }
        }
    }
}

pub(crate) async fn measure(place: &Place, filled: &Filled, is_quick: bool) {
    // Usage is counted with every request, as always, and not written within the turns. A write costs one row for each
    // key that was used in an interval, however often, and is measured separately. Here, every request has another key,
    // so writes would dominate the measurement, and half of them would fall into the other contender's turns.
    let usage = UsageSettings::new().interval(Duration::from_secs(3_600)).capacity(2 * filled.requests.len());
    let builder = place.builder().authenticator(|builder| builder.cache_ttl(Duration::ZERO)).usage(usage);
    let keys = builder.build().expect("a manager");
    let contenders = [Contender::Ours(keys.authenticator()), Contender::Plain(place.plain.clone())];
    let requests: Arc<[String]> = filled.requests.clone().into();
    let rounds = if is_quick { 3 } else { 7 };
    println!(
        "\n| callers | verifications a second | `SELECT` a request | ratio, of {rounds} rounds | least and most |"
    );
    println!("|---:|---:|---:|---:|---:|");
    for callers in [1, 16, 256] {
        for contender in &contenders {
            rate(contender, &requests, callers, turn(is_quick) / 2, 0).await;
        }
        let mut rates = [Vec::new(), Vec::new()];
        let mut ratios = Vec::new();
        for round in 0..rounds {
            let mut of_round = [0.0; 2];
            for place in 0..2 {
                let which = (round + place) % 2;
                let seed = (1 + round * 2 + place) as u64;
                of_round[which] = rate(&contenders[which], &requests, callers, turn(is_quick), seed).await;
            }
            ratios.push(of_round[0] / of_round[1]);
            rates.iter_mut().zip(of_round).for_each(|(rates, rate)| rates.push(rate));
        }
        let ratio = median(&mut ratios);
        let [ours, plain] = rates.map(|mut rates| median(&mut rates));
        println!(
            "| {callers} | {ours:.0} | {plain:.0} | {ratio:.2} | {:.2}, {:.2} |",
            ratios[0],
            ratios[ratios.len() - 1]
        );
    }
    let without = Contender::Ours(without_a_store());
    rate(&without, &requests, 256, turn(is_quick) / 2, 0).await;
    let mut rates: Vec<_> = Vec::new();
    for round in 0..rounds {
        rates.push(rate(&without, &requests, 256, turn(is_quick), round as u64).await);
    }
    println!("\nours with 256 callers and an answer that is there at once: {:.0} a second", median(&mut rates));
}

/// The cost without a lookup: accepts every key of the format.
fn without_a_store() -> Authenticator {
    let resolver = resolver_fn(async |key: PresentedKey| {
        let digest = key.digest().clone();
        let claims = Claims::new(KeyId::new(&digest.to_string()[..60])?);
        let claims = claims
            .with_name("key")
            .with_organization("org".parse()?)
            .with_scopes(ScopeSet::parse("files:read files:write")?);
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(Some(Resolution::new(digest, claims)))
    });
    Authenticator::builder(resolver).format(format()).cache_ttl(Duration::ZERO).build().expect("an authenticator")
}

/// Returns verifications per second, with `callers` that each send one key after another.
async fn rate(contender: &Contender, requests: &Arc<[String]>, callers: usize, turn: Duration, seed: u64) -> f64 {
    let start = Instant::now();
    let tasks = (0..callers).map(|caller| {
        let (contender, requests) = (contender.clone(), Arc::clone(requests));
        tokio::spawn(async move {
            let mut order = Order::new(seed << 16 | caller as u64);
            let mut done = 0usize;
            while start.elapsed() < turn {
                contender.verify(&requests[order.below(requests.len())]).await;
                done += 1;
            }
            done
        })
    });
    let tasks: Vec<_> = tasks.collect();
    let mut done = 0;
    for task in tasks {
        done += task.await.expect("a caller");
    }
    done as f64 / start.elapsed().as_secs_f64()
}
