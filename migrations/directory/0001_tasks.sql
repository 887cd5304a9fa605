CREATE TABLE `task` (
	`name` text PRIMARY KEY NOT NULL,
	`state` text NOT NULL
);
