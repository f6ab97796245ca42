//! How the time to read grows with the size of the messages that are made to be slow to read.
//! `linear`: nanoseconds per octet at four sizes; a linear walk shows the same figure in each column.

#[path = "../../../instructions/src/hostile.rs"]
#[allow(dead_code)]
mod hostile;

use std::hint::black_box;
use std::time::Instant;

use sip_parser::HeaderTable;

const SIZES: [usize; 4] = [8_192, 16_384, 32_768, 65_535];

fn main() {
    let mut table = HeaderTable::new(hostile::UNLIMITED);
    let by_size = SIZES.map(hostile::inputs);
    println!(
        "{:<20} {:>8} {:>8} {:>8} {:>8}  ns per octet at 8k, 16k, 32k, 64k",
        "", "8k", "16k", "32k", "64k"
    );
    for (index, (name, _)) in by_size[0].iter().enumerate() {
        print!("{name:<20}");
        for inputs in &by_size {
            let bytes = &inputs[index].1;
            // The fastest of several runs: the others say how busy the machine is.
            let fastest = (0..9).map(|_| {
                let start = Instant::now();
                black_box(hostile::read(black_box(bytes), &mut table));
                start.elapsed()
            });
            let nanoseconds = fastest.min().unwrap_or_default().as_nanos() as f64;
            print!(" {:>8.2}", nanoseconds / bytes.len() as f64);
        }
        println!();
    }
}
