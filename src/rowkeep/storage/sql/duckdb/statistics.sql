-- Statistics of one column. `measured` has its values, and what each of them measures (model/statistics.py).

-- name: keep_measured
CREATE TABLE measured AS SELECT value, measure FROM batches WHERE value IS NOT NULL;

-- name: measured_range
SELECT count(*) AS count, count(DISTINCT value) AS distinct_count, min(measure) AS minimum,
    max(measure) AS maximum
FROM measured;

-- name: measured_moments
-- :scale is the largest magnitude: sums of numbers near the end of a double's range would overflow.
SELECT avg(measure / $scale) * $scale AS mean,
    approx_quantile(measure::DOUBLE, 0.5) AS approximate_median,
    stddev_samp(measure / $scale) * $scale AS standard_deviation
FROM measured;

-- name: measured_frequencies
SELECT value, count(*) AS count FROM measured GROUP BY value ORDER BY count DESC, value LIMIT $count_max;
