CREATE TABLE `follow_up` (
	`message` integer PRIMARY KEY NOT NULL,
	`account` integer NOT NULL,
	`due` integer NOT NULL,
	`attempts` integer DEFAULT 0 NOT NULL
);
--> statement-breakpoint
CREATE INDEX `follow_up_due` ON `follow_up` (`due`);--> statement-breakpoint
CREATE TABLE `identity` (
	`account` integer NOT NULL,
	`id` text NOT NULL,
	`email` text NOT NULL,
	`name` text NOT NULL,
	`reply_to` text NOT NULL,
	`bcc` text NOT NULL,
	`text_signature` text NOT NULL,
	`html_signature` text NOT NULL,
	`chosen` integer DEFAULT false NOT NULL,
	PRIMARY KEY(`account`, `id`)
);
--> statement-breakpoint
CREATE TABLE `on_arrival` (
	`account` integer PRIMARY KEY NOT NULL,
	`answers` integer DEFAULT false NOT NULL,
	`from_at` integer,
	`to_at` integer,
	`subject` text,
	`text` text,
	`html` text,
	`forward_to` text,
	`asked_address` text,
	`asked_code` text,
	`asked_at` integer,
	`asked_wrong` integer DEFAULT 0 NOT NULL
);
--> statement-breakpoint
CREATE TABLE `told` (
	`account` integer NOT NULL,
	`sender` text NOT NULL,
	`at` integer NOT NULL,
	PRIMARY KEY(`account`, `sender`)
);
