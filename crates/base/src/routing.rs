//! Which shard a document belongs to. Source: Elasticsearch reference, "_routing field".

/// Returns the 32-bit murmur3 (x86, seed 0) of the text's UTF-16 code units, low byte first.
pub fn hash(routing: &str) -> i32 {
    let bytes: Vec<u8> = routing
        .encode_utf16()
        .flat_map(|unit| unit.to_le_bytes())
        .collect();
    murmur3_x86_32(&bytes) as i32
}

/// Returns the shard for a routing value (`_routing`, else `_id`).
pub fn shard_for(routing: &str, routing_shards: u32, shards: u32) -> u32 {
    let slot = hash(routing).rem_euclid(routing_shards as i32) as u32;
    slot / (routing_shards / shards)
}

/// Returns the default `number_of_routing_shards` of an index with so many shards.
pub fn default_routing_shards(shards: u32) -> u32 {
    let log2_ceil = shards.next_power_of_two().trailing_zeros();
    let splits = 10u32.saturating_sub(log2_ceil).max(1);
    shards << splits
}

fn murmur3_x86_32(bytes: &[u8]) -> u32 {
    const C1: u32 = 0xcc9e_2d51;
    const C2: u32 = 0x1b87_3593;
    let mut state = 0u32;
    let mut blocks = bytes.chunks_exact(4);
    for block in &mut blocks {
        // Invariant: `chunks_exact(4)` yields four bytes.
        let word = u32::from_le_bytes(block.try_into().expect("four bytes"));
        state ^= word.wrapping_mul(C1).rotate_left(15).wrapping_mul(C2);
        state = state
            .rotate_left(13)
            .wrapping_mul(5)
            .wrapping_add(0xe654_6b64);
    }
    let tail = blocks.remainder();
    if !tail.is_empty() {
        let word = tail
            .iter()
            .rev()
            .fold(0u32, |word, byte| (word << 8) | u32::from(*byte));
        state ^= word.wrapping_mul(C1).rotate_left(15).wrapping_mul(C2);
    }
    state ^= bytes.len() as u32;
    state ^= state >> 16;
    state = state.wrapping_mul(0x85eb_ca6b);
    state ^= state >> 13;
    state = state.wrapping_mul(0xc2b2_ae35);
    state ^ (state >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_matches_the_published_vectors() {
        for (text, expected) in [
            ("hell", 0x5a0c_b7c3_u32),
            ("hello", 0xd7c3_1989),
            ("hello w", 0x22ab_2984),
            ("hello wo", 0xdf0c_a123),
            ("hello wor", 0xe774_4d61),
            ("The quick brown fox jumps over the lazy dog", 0xe07d_b09c),
            ("The quick brown fox jumps over the lazy cog", 0x4e63_d2ad),
        ] {
            assert_eq!(hash(text) as u32, expected, "{text}");
        }
    }

    #[test]
    fn shards_match_the_published_vectors() {
        let shard = |id: &str, shards| shard_for(id, default_routing_shards(shards), shards);
        assert_eq!([shard("1", 2), shard("1", 3), shard("1", 5)], [0, 2, 4]);
        assert_eq!([shard("2", 2), shard("2", 3), shard("2", 5)], [0, 1, 3]);
        assert_eq!(
            [shard("hello", 2), shard("hello", 3), shard("hello", 5)],
            [0, 2, 4]
        );
    }

    #[test]
    fn default_routing_shards_leave_room_for_splits() {
        for (shards, expected) in [(1, 1024), (2, 1024), (3, 768), (5, 640), (1024, 2048)] {
            assert_eq!(default_routing_shards(shards), expected);
        }
    }
}
