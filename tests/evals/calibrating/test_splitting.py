import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from wardround.evals.calibrating.splitting import folds, split

CLUSTERS = st.lists(st.sampled_from([f"case{i}" for i in range(40)]), min_size=1, max_size=80)


@given(CLUSTERS, st.floats(0.0, 0.5), st.floats(0.0, 0.5), st.integers(0, 5))
@settings(deadline=None)
def test_no_case_serves_for_two_things_and_none_is_lost(clusters: list[str], a: float, b: float, seed: int) -> None:
    found = split(clusters, calibrator=a, conformal=b, seed=seed)
    uses = [found.calibrator, found.conformal, found.threshold]
    assert sorted(i for use in uses for i in use) == list(range(len(clusters)))
    names = [{clusters[i] for i in use} for use in uses]
    assert sum(len(n) for n in names) == len(set(clusters))


@given(CLUSTERS, st.integers(0, 5))
@settings(deadline=None)
def test_the_division_depends_on_names_and_seed_alone(clusters: list[str], seed: int) -> None:
    turned = clusters[::-1]
    one = split(clusters, calibrator=0.3, conformal=0.3, seed=seed)
    other = split(turned, calibrator=0.3, conformal=0.3, seed=seed)
    assert {clusters[i] for i in one.threshold} == {turned[i] for i in other.threshold}


@given(CLUSTERS, st.integers(2, 6))
@settings(deadline=None)
def test_folds_share_no_case_and_are_of_like_size(clusters: list[str], count: int) -> None:
    found = folds(clusters, count)
    assert sorted(i for fold in found for i in fold) == list(range(len(clusters)))
    sizes = [len({clusters[i] for i in fold}) for fold in found]
    assert sum(sizes) == len(set(clusters))
    assert max(sizes) - min(sizes) <= 1


def test_another_seed_divides_otherwise() -> None:
    names = [str(i) for i in range(100)]
    assert split(names, calibrator=0.3, conformal=0.3) != split(names, calibrator=0.3, conformal=0.3, seed=1)
    assert np.isclose(len(split(names, calibrator=0.3, conformal=0.3).calibrator), 30)
