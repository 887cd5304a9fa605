CREATE TABLE `progress` (
	`shard` integer NOT NULL,
	`recipient` integer NOT NULL,
	`state` text NOT NULL,
	`change` text,
	`at` integer NOT NULL,
	PRIMARY KEY(`shard`, `recipient`)
);
--> statement-breakpoint
CREATE TABLE `rate` (
	`who` text NOT NULL,
	`hour` integer NOT NULL,
	`recipients` integer NOT NULL,
	PRIMARY KEY(`who`, `hour`)
);
--> statement-breakpoint
CREATE TABLE `self` (
	`id` integer PRIMARY KEY NOT NULL,
	`name` text NOT NULL,
	`domain` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `stop` (
	`who` text PRIMARY KEY NOT NULL,
	`at` integer NOT NULL,
	`actor` text NOT NULL,
	`why` text NOT NULL
);
