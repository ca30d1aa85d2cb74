//! All keys, read as the search for what is due reads them every five minutes: 500 at a time, by one process, once.

use std::time::Instant;

use apikey_manager::KeyStore;

use crate::place::Place;

const PAGE: usize = 500;

pub(crate) async fn measure(place: &Place, keys: usize) {
    let (start, mut read, mut after) = (Instant::now(), 0, None);
    loop {
        let page = place.store.scan(after.as_ref(), PAGE).await.expect("keys");
        read += page.len();
        match page.into_iter().last() {
            Some(last) => after = Some(last.id),
            None => break,
        }
    }
    assert!(read >= keys, "{read} keys");
    let took = start.elapsed().as_secs_f64();
    println!("\nall keys read, 500 at a time: {:.0} a second, {took:.1} s", read as f64 / took);
}
