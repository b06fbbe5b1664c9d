-- Short names for what functions.txt says often. A macro is text: an argument that it names twice is twice in
-- the query that runs.

-- What Unicode calls white space.
CREATE MACRO bq_spaces() AS concat(' ', chr(9), chr(10), chr(11), chr(12), chr(13), chr(28), chr(29), chr(30), chr(31), chr(133), chr(160), chr(5760), chr(8192), chr(8193), chr(8194), chr(8195), chr(8196), chr(8197), chr(8198), chr(8199), chr(8200), chr(8201), chr(8202), chr(8232), chr(8233), chr(8239), chr(8287), chr(12288));
CREATE MACRO bq_trim(t) AS trim(t, bq_spaces());
CREATE MACRO bq_ltrim(t) AS ltrim(t, bq_spaces());
CREATE MACRO bq_rtrim(t) AS rtrim(t, bq_spaces());
CREATE MACRO bq_log(x, base) AS CASE WHEN base = 10 THEN log10(x) WHEN base = 2 THEN log2(x) ELSE ln(x) / ln(base) END;
-- A moment's date, if a date can be it.
CREATE MACRO bq_date(t) AS CASE
    WHEN t BETWEEN TIMESTAMP '0001-01-01' AND TIMESTAMP '9999-12-31 23:59:59.999999' THEN CAST(t AS DATE)
    WHEN t IS NULL THEN NULL
    ELSE error('The date is not within the years 0001 to 9999.') END;
CREATE MACRO bq_moment(t) AS CASE
    WHEN t BETWEEN TIMESTAMP '0001-01-01' AND TIMESTAMP '9999-12-31 23:59:59.999999' THEN t
    WHEN t IS NULL THEN NULL
    ELSE error('The date is not within the years 0001 to 9999.') END;
-- The number of the week that a date is in, where weeks begin `shift` days before the day after 1970-01-03.
CREATE MACRO bq_week(d, shift) AS (datediff('day', DATE '1970-01-01', d) + shift + 7000000) // 7;
-- On a sphere of BigQuery's radius.
CREATE MACRO bq_distance(x1, y1, x2, y2) AS 2 * 6371010 * asin(sqrt(
    pow(sin(radians(y2 - y1) / 2), 2) + cos(radians(y1)) * cos(radians(y2)) * pow(sin(radians(x2 - x1) / 2), 2)));
-- `POINT(1 2)`, not `POINT (1 2)`.
CREATE MACRO bq_wkt(t) AS replace(replace(t, ' (', '('), ', ', ', ');
CREATE MACRO bq_date_of_text(t) AS CAST(bq_date_text_of(t) AS DATE);
CREATE MACRO bq_time_of_text(t) AS CAST(bq_time_text_of(t) AS TIME);
CREATE MACRO bq_datetime_of_text(t) AS make_timestamp(bq_datetime_micros(t));
CREATE MACRO bq_timestamp(t) AS make_timestamp(bq_moment_micros(t));
