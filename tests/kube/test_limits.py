from __future__ import annotations

import pytest

from contour.kube.limits import Bucket


def test_a_burst_and_then_the_rate():
    bucket = Bucket(10, burst=3)
    assert [bucket.take(0.0) for _ in range(5)] == pytest.approx([0, 0, 0, 0.1, 0.2])
    assert bucket.take(10.0) == 0


def test_rest_gathers_no_more_than_the_burst():
    bucket = Bucket(1, burst=2)
    bucket.take(0.0)
    assert [bucket.take(100.0) for _ in range(3)] == [0, 0, 1]


def test_no_limit():
    bucket = Bucket(0)
    assert {bucket.take(0.0) for _ in range(1000)} == {0}
