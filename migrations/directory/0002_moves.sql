CREATE TABLE `mailbox_move` (
	`mailbox` integer PRIMARY KEY NOT NULL,
	`domain` integer NOT NULL,
	`source` integer NOT NULL,
	`target` integer NOT NULL,
	`phase` text NOT NULL,
	`progress` text DEFAULT '{}' NOT NULL,
	`actor` text NOT NULL,
	`attempt` integer DEFAULT 1 NOT NULL,
	`lease_until` integer DEFAULT 0 NOT NULL,
	`due_at` integer DEFAULT 0 NOT NULL,
	`started_at` integer NOT NULL,
	`switched_at` integer,
	`ended_at` integer,
	`problem` text
);
--> statement-breakpoint
CREATE TABLE `setting` (
	`name` text PRIMARY KEY NOT NULL,
	`value` text NOT NULL
);
