use super::*;
use crate::routing_files::{LoadOptions, load};
use std::path::Path;
use std::time::Duration;

async fn write(store: &Store, directory: &Path, files: &[(&str, &str)]) {
    for (name, text) in files {
        std::fs::write(directory.join(name), text).unwrap();
    }
    let options = LoadOptions::default();
    load(store, directory, options, &mut |_| {}, &mut |_| {})
        .await
        .unwrap();
}

fn slot(reloader: &Reloader, vendor: &str) -> u32 {
    let snapshot = reloader.current().load_full();
    let index = snapshot.vendor_by_name(vendor).unwrap();
    snapshot.vendor(index).slot
}

#[tokio::test]
async fn a_reload_that_nobody_waits_for_goes_on_and_every_trunk_keeps_its_slot() {
    let directory = tempfile::tempdir().unwrap();
    let files = directory.path().join("files");
    std::fs::create_dir(&files).unwrap();
    let url = format!("sqlite://{}", directory.path().join("t.db").display());
    let store = Store::open(&url).await.unwrap();
    write(&store, &files, &[("vendors.csv", "name\none\ntwo\n")]).await;
    let reloader = Reloader::start(store.clone()).await.unwrap();
    let before = (slot(&reloader, "one"), slot(&reloader, "two"));

    // A third vendor that sorts before the others would take their slots from an empty registry.
    write(&store, &files, &[("vendors.csv", "name\na\n")]).await;
    let version = store.load_tables().await.unwrap().1;
    for _ in 0..3 {
        // Asked, and given up after one look: what was begun runs on this thread only once it is awaited below.
        let mut asked = std::pin::pin!(reloader.reload("a test"));
        let look = asked
            .as_mut()
            .poll(&mut std::task::Context::from_waker(std::task::Waker::noop()));
        assert!(look.is_pending());
    }
    let give_up = Instant::now() + Duration::from_secs(10);
    while reloader.current().load().version() != version {
        assert!(Instant::now() < give_up, "the reload was given up, too");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    reloader.reload("a test").await.unwrap();
    assert_eq!((slot(&reloader, "one"), slot(&reloader, "two")), before);
}

#[test]
fn a_compiler_that_panics_does_not_lose_the_slots() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", directory.path().join("t.db").display());
    let store = runtime.block_on(Store::open(&url)).unwrap();
    let reloader = runtime.block_on(Reloader::start(store)).unwrap();
    let slots = Arc::clone(&reloader.parts.slots);
    let died = std::thread::spawn(move || {
        let _held = slots.lock().unwrap();
        panic!("on purpose");
    });
    assert!(died.join().is_err());
    assert!(runtime.block_on(reloader.reload("a test")).is_ok());
}
