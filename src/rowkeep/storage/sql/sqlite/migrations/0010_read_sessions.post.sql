DROP TABLE read_streams;
