//! A sorted map of which clones share what they have in common.

use std::borrow::Borrow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Index, RangeBounds};

use rpds::RedBlackTreeMapSync;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A map for the large parts of the cluster state.
///
/// Each change of the state is made to a clone, which readers then get. A clone costs the same however many entries there are,
/// and a change of one entry clones that entry and as many nodes of the tree as it is deep. Methods are those of
/// [`BTreeMap`](std::collections::BTreeMap), and it is written as one.
#[derive(Clone)]
pub struct SharedMap<K: Ord, V>(RedBlackTreeMapSync<K, V>);

impl<K: Ord, V> SharedMap<K, V> {
    pub fn len(&self) -> usize {
        self.0.size()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.0.get(key)
    }

    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.0.contains_key(key)
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.0.iter()
    }

    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> {
        self.0.iter().map(|(key, _)| key)
    }

    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> {
        self.0.iter().map(|(_, value)| value)
    }

    pub fn range<'a, Q, R>(&'a self, range: R) -> impl DoubleEndedIterator<Item = (&'a K, &'a V)>
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized + 'a,
        R: RangeBounds<Q> + 'a,
    {
        self.0.range(range)
    }
}

impl<K: Ord + Clone, V: Clone> SharedMap<K, V> {
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        self.0.get_mut(key)
    }

    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let before = self.0.get(&key).cloned();
        self.0.insert_mut(key, value);
        before
    }

    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let before = self.0.get(key).cloned()?;
        self.0.remove_mut(key);
        Some(before)
    }

    /// Changes the values for which the condition holds; only those are cloned.
    pub fn change_where(
        &mut self,
        condition: impl Fn(&K, &V) -> bool,
        mut change: impl FnMut(&K, &mut V),
    ) {
        let wanted: Vec<K> = self
            .iter()
            .filter(|(key, value)| condition(key, value))
            .map(|(key, _)| key.clone())
            .collect();
        for key in wanted {
            if let Some(value) = self.0.get_mut(&key) {
                change(&key, value);
            }
        }
    }

    /// Keeps those for which the condition holds. Nothing is cloned for them.
    pub fn retain(&mut self, mut condition: impl FnMut(&K, &V) -> bool) {
        let gone: Vec<K> = self
            .iter()
            .filter(|(key, value)| !condition(key, value))
            .map(|(key, _)| key.clone())
            .collect();
        for key in gone {
            self.0.remove_mut(&key);
        }
    }
}

impl<K: Ord + Borrow<Q>, V, Q: Ord + ?Sized> Index<&Q> for SharedMap<K, V> {
    type Output = V;

    /// # Panics
    /// There is no such entry.
    fn index(&self, key: &Q) -> &V {
        &self.0[key]
    }
}

impl<K: Ord, V> Default for SharedMap<K, V> {
    fn default() -> Self {
        Self(RedBlackTreeMapSync::new_sync())
    }
}

impl<K: Ord, V: PartialEq> PartialEq for SharedMap<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.0.ptr_eq(&other.0) || self.0 == other.0
    }
}

impl<K: Ord, V: Eq> Eq for SharedMap<K, V> {}

impl<K: Ord + fmt::Debug, V: fmt::Debug> fmt::Debug for SharedMap<K, V> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_map().entries(self.iter()).finish()
    }
}

impl<K: Ord + Clone, V: Clone> Extend<(K, V)> for SharedMap<K, V> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        for (key, value) in entries {
            self.0.insert_mut(key, value);
        }
    }
}

impl<K: Ord + Clone, V: Clone> FromIterator<(K, V)> for SharedMap<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::default();
        map.extend(entries);
        map
    }
}

impl<'a, K: Ord, V> IntoIterator for &'a SharedMap<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = <&'a RedBlackTreeMapSync<K, V> as IntoIterator>::IntoIter;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<K: Ord + Serialize, V: Serialize> Serialize for SharedMap<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de, K, V> Deserialize<'de> for SharedMap<K, V>
where
    K: Deserialize<'de> + Ord + Clone,
    V: Deserialize<'de> + Clone,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<K, V>(PhantomData<(K, V)>);

        impl<'de, K, V> Visitor<'de> for Entries<K, V>
        where
            K: Deserialize<'de> + Ord + Clone,
            V: Deserialize<'de> + Clone,
        {
            type Value = SharedMap<K, V>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
                let mut map = SharedMap::default();
                while let Some((key, value)) = entries.next_entry()? {
                    map.insert(key, value);
                }
                Ok(map)
            }
        }

        deserializer.deserialize_map(Entries(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use ringwall_base::encoding::{decode, encode};

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_sorted_map_and_clones_do_not_change(
            changes in prop::collection::vec((0..20_u8, prop::option::of(any::<u16>())), 0..80),
        ) {
            let mut map = SharedMap::default();
            let mut model = BTreeMap::new();
            let mut past = Vec::new();
            for (key, value) in changes {
                let before = match value {
                    Some(value) => (map.insert(key, value), model.insert(key, value)),
                    None => (map.remove(&key), model.remove(&key)),
                };
                prop_assert_eq!(before.0, before.1);
                if let (Some(mine), Some(its)) = (map.get_mut(&7), model.get_mut(&7)) {
                    *mine = mine.wrapping_add(1);
                    *its = its.wrapping_add(1);
                }
                prop_assert!(map.iter().eq(model.iter()) && map.len() == model.len());
                prop_assert!(map.range(3..9).eq(model.range(3..9)));
                past.push((map.clone(), model.clone()));
            }
            map.change_where(|key, _| key % 3 == 0, |_, value| *value = 1);
            model.iter_mut().filter(|(key, _)| *key % 3 == 0).for_each(|(_, value)| *value = 1);
            map.retain(|key, _| key % 2 == 0);
            model.retain(|key, _| key % 2 == 0);
            prop_assert!(map.iter().eq(model.iter()));
            for (map, model) in past {
                prop_assert!(map.iter().eq(model.iter()));
                let written = encode(&map);
                prop_assert_eq!(&written, &encode(&model));
                prop_assert!(decode::<SharedMap<u8, u16>>(&written).unwrap() == map);
            }
        }
    }
}
