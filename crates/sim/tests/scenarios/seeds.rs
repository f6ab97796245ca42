use sim::random_run::run_seed;

#[test]
fn seeds_run_clean() {
    let (mut calls, mut answered) = (0, 0);
    let mut failed = Vec::new();
    for seed in 0..300 {
        match run_seed(seed, false) {
            Ok(summary) => {
                calls += summary.calls;
                answered += summary.answered;
            }
            Err(faults) => failed.push((seed, faults)),
        }
    }
    assert!(
        failed.is_empty(),
        "{} seeds failed: {failed:#?}",
        failed.len()
    );
    // The runs must be about something: many calls, a good part of them answered.
    assert!(
        calls > 900 && answered > 250,
        "{calls} calls, {answered} answers"
    );
}

#[test]
fn a_seed_gives_the_same_run_every_time() {
    for seed in [3, 17] {
        let runs = [(); 2].map(|()| {
            let mut world = sim::random_run::draw(seed, false);
            world.run_until(60_000_000);
            (
                world.network.counts(),
                format!("{:?}", world.channels()),
                world.records.len(),
            )
        });
        assert_eq!(runs[0], runs[1]);
    }
}

#[test]
fn programs_of_random_bytes_run_clean() {
    let mut rng = fastrand::Rng::with_seed(4475);
    let mut failed = Vec::new();
    for number in 0..500 {
        let len = rng.usize(0..600);
        let bytes: Vec<u8> = (0..len).map(|_| rng.u8(..)).collect();
        if let Err(faults) = sim::program::run_program(&bytes, false) {
            failed.push((number, faults));
        }
    }
    assert!(
        failed.is_empty(),
        "{} programs failed: {failed:#?}",
        failed.len()
    );
}
